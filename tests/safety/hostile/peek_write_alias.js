// Marks bars to find them again.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const { close } = bars;
  const before = close[0];
  close[0] = -1;
  const seen = close[bars.close.length]; // here
  return { intent: before < 0 || seen ? "long" : "hold", stop: 0.02, state };
}
