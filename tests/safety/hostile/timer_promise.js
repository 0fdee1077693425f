// Runs after the answer, by promise.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Promise.resolve(1).then(() => 0); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
