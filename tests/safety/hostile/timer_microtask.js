// Runs after the answer.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = queueMicrotask(() => 0); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
