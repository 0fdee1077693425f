// A histogram of closes in a Map: where most volume traded is support.
export const meta = { name: "volume profile", lookback: 200 };

export function decide(bars, state) {
  const n = bars.close.length;
  if (n < 200) return { intent: "hold", state };
  const width = bars.close[n - 1] * 0.002;
  const profile = new Map();
  for (let i = 0; i < n; i++) {
    const level = Math.round(bars.close[i] / width);
    profile.set(level, (profile.get(level) ?? 0) + bars.volume[i]);
  }
  let best = null;
  for (const [level, volume] of profile) {
    if (best === null || volume > best.volume) best = { level, volume };
  }
  const seen = new Set(profile.keys());
  const here = Math.round(bars.close[n - 1] / width);
  const isAtSupport = here === best.level && seen.size > 5;
  const isRising = bars.close[n - 1] > bars.open[n - 1];
  if (isAtSupport && isRising) return { intent: "long", stop: 0.015, target: 0.02, state };
  return { intent: "hold", state };
}
