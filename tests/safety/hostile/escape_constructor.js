// Reaches Function through an object.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = bars.constructor.constructor("return 7")() === 7; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
