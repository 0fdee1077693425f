// Reads the clock.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Date.now() > 0; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
