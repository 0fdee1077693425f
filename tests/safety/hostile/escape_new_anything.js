// Makes something unlisted.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new bars.close.at(1); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
