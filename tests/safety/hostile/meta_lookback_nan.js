// Wants to see NaN bars.
export const meta = { name: "nan", lookback: NaN }; // here
export function decide() {
  return { intent: "hold" };
}
