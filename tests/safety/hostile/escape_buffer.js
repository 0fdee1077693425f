// Takes the memory behind a column.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Float64Array(bars.close.buffer); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
