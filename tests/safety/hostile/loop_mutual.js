// Two that call each other.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const one = () => two(); // here
  const two = () => one(); // here
  return one();
}
