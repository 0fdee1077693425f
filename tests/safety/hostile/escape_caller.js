// Asks who called.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = (function inner() { return inner.caller; })(); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
