// Every pair of the last 40 swings: quadratic, and well inside the fuel.
export const meta = { name: "pairs of swings", lookback: 120 };

export function decide(bars, state) {
  const { high, low, close } = bars;
  const n = close.length;
  if (n < 120) return { intent: "hold", state };
  const swings = [];
  for (let i = 2; i < n - 2; i++) {
    const isTop = high[i] > high[i - 1] && high[i] > high[i + 1];
    const isBottom = low[i] < low[i - 1] && low[i] < low[i + 1];
    if (isTop) swings.push({ i, price: high[i], kind: "top" });
    if (isBottom) swings.push({ i, price: low[i], kind: "bottom" });
  }
  let near = 0;
  outer: for (let a = 0; a < swings.length; a++) {
    for (let b = a + 1; b < swings.length; b++) {
      if (swings[a].kind !== swings[b].kind) continue;
      const apart = Math.abs(swings[a].price / swings[b].price - 1);
      if (apart < 0.0005 && Math.abs(swings[b].price / close[n - 1] - 1) < 0.002) near += 1;
      if (near > 25) break outer;
    }
  }
  const isFirm = near > 10 && close[n - 1] > close[n - 2];
  return isFirm
    ? { intent: "long", stop: 0.01, target: 0.02, max_bars: 36, state }
    : { intent: "hold", state };
}
