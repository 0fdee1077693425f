// Words as keys and values, templates, comparisons of text.
export const meta = { name: "shapes", lookback: 3 };

const SHAPES = { "up up": "long", "down down": "flat" };

function shape(open, close) {
  return close > open ? "up" : close < open ? "down" : "flat";
}

export function decide(bars, state) {
  const n = bars.close.length;
  if (n < 2) return { intent: "hold", state };
  const name = `${shape(bars.open[n - 2], bars.close[n - 2])} ${shape(bars.open[n - 1], bars.close[n - 1])}`;
  const counts = { ...(state?.counts ?? {}) };
  counts[name] = (counts[name] ?? 0) + 1;
  const intent = SHAPES[name] ?? "hold";
  const isRare = counts[name] % 5 === 0 && name.startsWith("up");
  return {
    intent: intent === "long" && !isRare ? "hold" : intent,
    stop: 0.02,
    target: 0.02,
    state: { counts, last: name },
  };
}
