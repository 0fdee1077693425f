// Wants NaN.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: NaN }; // here
}
