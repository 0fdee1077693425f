// Throws dice under a composed name.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Math["ran" + "dom"]() > 0; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
