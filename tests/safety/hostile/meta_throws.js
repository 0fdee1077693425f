// Throws while it is read.
export const meta = { name: null.x, lookback: 5 }; // here
export function decide() {
  return { intent: "hold" };
}
