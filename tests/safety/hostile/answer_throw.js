// Throws.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  throw new Error("no"); // here
}
