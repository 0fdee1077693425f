// Changes a bar for those after it.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  bars.close[bars.close.length - 1] = 0; // here
  return { intent: "hold", state };
}
