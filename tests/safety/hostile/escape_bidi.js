// Turns the text around so that a reader sees another one.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = false; // ‮ here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
