// Leaves something in a cache that others read.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = caches.default; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
