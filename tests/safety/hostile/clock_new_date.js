// Reads the clock by an object.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Date().getTime() > 0; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
