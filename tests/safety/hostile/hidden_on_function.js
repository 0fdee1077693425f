// Counts on a function of the library.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const tool = Math.abs;
  tool.n = (tool.n ?? 0) + 1;
  const isSeventh = tool.n % 7 === 0;
  return isSeventh ? { intent: "long", stop: 0.02, state } : { intent: "hold", state }; // here
}
