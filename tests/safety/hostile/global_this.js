// Reaches for everything at once.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Object.keys(globalThis).length > 0; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
