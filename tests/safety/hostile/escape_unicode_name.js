// Writes eval with an escape.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = \u0065val("7") === 7; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
