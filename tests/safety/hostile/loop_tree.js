// Doubles with every step.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const grow = (n) => (n === 0 ? 1 : grow(n - 1) + grow(n - 1)); // here
  return { intent: "hold", state: grow(60) };
}
