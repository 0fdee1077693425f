// Widens its window.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const wide = bars.close.subarray(0, 1000);
  const next = wide[wide.length]; // here
  return { intent: next > 0 ? "long" : "hold", stop: 0.02, state };
}
