// A typed array as scratch space: the autocorrelation of returns decides which way to trade.
export const meta = { name: "autocorrelation", lookback: 100, direction: "both", leverage: 2 };

export function decide(bars) {
  const n = bars.close.length;
  if (n < 100) return { intent: "hold" };
  const returns = new Float64Array(n - 1);
  for (let i = 1; i < n; i++) returns[i - 1] = Math.log(bars.close[i] / bars.close[i - 1]);
  let above = 0;
  let below = 0;
  for (let i = 1; i < returns.length; i++) {
    above += returns[i] * returns[i - 1];
    below += returns[i] ** 2;
  }
  const r = below > 0 ? above / below : 0;
  const last = returns[returns.length - 1];
  if (Math.abs(r) < 0.2 || Math.abs(last) < 0.002) return { intent: "hold" };
  const intent = r * last > 0 ? "long" : "short";
  return { intent, stop: 0.01, target: 0.015, size: 1.5, confidence: Math.min(1, Math.abs(r)) };
}
