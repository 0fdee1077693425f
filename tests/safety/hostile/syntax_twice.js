// Declares a name twice.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const one = 1;
  const one = 2; // here
  return { intent: "hold" };
}
