// Throws nothing.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  throw undefined; // here
}
