// Changes what every list does.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  Array.prototype.map = () => []; // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
