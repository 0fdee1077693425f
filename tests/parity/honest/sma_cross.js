// Two plain averages: long while the fast one is above the slow one.
export const meta = { name: "sma cross", lookback: 60 };

function average(values, length) {
  let total = 0;
  for (let i = values.length - length; i < values.length; i++) {
    total += values[i];
  }
  return total / length;
}

export function decide(bars, state) {
  if (bars.close.length < 60) return { intent: "hold", state };
  const fast = average(bars.close, 20);
  const slow = average(bars.close, 60);
  if (fast > slow) return { intent: "long", stop: 0.02, target: 0.06, state };
  return { intent: "flat", state };
}
