// Reads the clock by its newest name.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Temporal.Now.instant(); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
