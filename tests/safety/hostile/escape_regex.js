// A pattern that takes for ever.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = /(a+)+$/.test("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
