// Stands between the caller and the bars.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Proxy(bars, { get: () => 1 }); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
