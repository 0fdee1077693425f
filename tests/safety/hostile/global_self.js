// Reaches for everything by another name.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = self !== undefined; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
