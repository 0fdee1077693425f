// Counts on a column.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const column = bars.close;
  column.n = (column.n ?? 0) + 1; // here
  return { intent: column.n % 7 === 0 ? "long" : "hold", stop: 0.02, state };
}
