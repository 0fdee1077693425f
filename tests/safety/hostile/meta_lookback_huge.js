// Wants to see a million bars.
export const meta = { name: "wide", lookback: 1000000 }; // here
export function decide() {
  return { intent: "hold" };
}
