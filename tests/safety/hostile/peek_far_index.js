// Reads an hour ahead.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const far = bars.high[bars.high.length + 12]; // here
  return { intent: far > 0 ? "long" : "hold", stop: 0.02, state };
}
