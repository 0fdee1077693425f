// Trades by the hour of the bar: the clock is the newest bar's own time.
export const meta = { name: "asian morning", lookback: 13, direction: "long" };

const HOUR_MS = 3600000;

export function decide({ t, open, close }, state) {
  const n = t.length;
  const hour = Math.floor(t[n - 1] / HOUR_MS) % 24;
  if (n < 13) return { intent: "hold", state };
  const rise = close[n - 1] / open[n - 12] - 1;
  switch (hour) {
    case 0:
    case 1:
      return rise > 0.002
        ? { intent: "long", stop: 0.02, target: 0.04, max_bars: 48, state }
        : { intent: "hold", state };
    case 20:
      return { intent: "flat", state };
    default:
      return { intent: "hold", state };
  }
}
