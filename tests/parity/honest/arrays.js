// Columns as arrays: slices, maps, reductions and sorting.
export const meta = { name: "median reversion", lookback: 41 };

const sum = (values) => values.reduce((total, value) => total + value, 0);

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

export function decide(bars, state) {
  const closes = Array.from(bars.close);
  if (closes.length < 41) return { intent: "hold", state: null };
  const returns = closes.slice(1).map((close, i) => close / closes[i] - 1);
  const mean = sum(returns) / returns.length;
  const deviation = Math.sqrt(sum(returns.map((r) => (r - mean) ** 2)) / returns.length);
  const last = closes.at(-1);
  const middle = median(closes);
  const z = deviation > 0 ? (last / middle - 1) / deviation : 0;
  if (z < -3) return { intent: "long", stop: 0.02, target: 0.02, max_bars: 24, state: null };
  return { intent: z > 1 ? "flat" : "hold", state: null };
}
