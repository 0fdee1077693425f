// Uses a letter that only looks like e.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const еval = 1; // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
