// Asks for the parent of a column.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Object.getPrototypeOf(bars.close); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
