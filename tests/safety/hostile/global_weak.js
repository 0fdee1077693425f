// Watches the collector, which works when it likes.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new WeakRef({}); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
