// Goes one bar too far.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let best = 0;
  for (let i = 0; i <= bars.close.length; i++) best = Math.max(best, bars.close[i]); // here
  return { intent: "hold", state: best };
}
