// Throws a number.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  throw 42; // here
}
