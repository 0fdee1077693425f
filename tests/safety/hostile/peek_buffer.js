// Looks for later bars in the memory behind a column.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const all = bars.close.buffer; // here
  return { intent: all.byteLength > 160 ? "long" : "hold", stop: 0.02, state };
}
