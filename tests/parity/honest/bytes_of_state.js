// Keeps the last hundred returns in its state, rounded: a large state, but one that fits.
export const meta = { name: "long memory", lookback: 2 };

export function decide(bars, state) {
  const n = bars.close.length;
  const kept = state?.kept ?? [];
  const change = n > 1 ? bars.close[n - 1] / bars.close[n - 2] - 1 : 0;
  kept.push(Number(change.toFixed(6)));
  if (kept.length > 100) kept.shift();
  const total = kept.reduce((sum, value) => sum + value, 0);
  const isStrong = kept.length === 100 && total > 0.01;
  return { intent: isStrong ? "long" : "hold", stop: 0.03, target: 0.03, size: 0.6, state: { kept } };
}
