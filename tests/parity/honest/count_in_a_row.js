// Three falling closes in a row after a rise, counted in the state.
export const meta = { name: "three down", lookback: 2 };

export function decide(bars, state) {
  const n = bars.close.length;
  let { down = 0, cooling = 0 } = state ?? {};
  const change = n > 1 ? bars.close[n - 1] - bars.close[n - 2] : 0;
  down = change < 0 ? down + 1 : 0;
  cooling = Math.max(0, cooling - 1);
  if (down >= 3 && cooling === 0) {
    return { intent: "long", stop: 0.01, target: 0.01, size: 0.8, state: { down: 0, cooling: 12 } };
  }
  return { intent: "hold", state: { down, cooling } };
}
