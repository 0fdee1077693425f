// Reads the bar after the newest one.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const next = bars.close[bars.close.length]; // here
  return { intent: next > bars.close.at(-1) ? "long" : "hold", stop: 0.02, state };
}
