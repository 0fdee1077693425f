// An exponential average kept in the state by hand.
export const meta = { name: "ema by hand", lookback: 1, direction: "both" };

export function decide(bars, state) {
  const close = bars.close[bars.close.length - 1];
  const before = state ?? { ema: close, n: 0 };
  const ema = before.ema + (close - before.ema) * 0.1;
  const next = { ema, n: before.n + 1 };
  if (next.n < 50) return { intent: "hold", state: next };
  const distance = close / ema - 1;
  if (distance > 0.004) return { intent: "short", stop: 0.01, target: 0.01, size: 0.5, state: next };
  if (distance < -0.004) return { intent: "long", stop: 0.01, target: 0.01, size: 0.5, state: next };
  return { intent: "hold", state: next };
}
