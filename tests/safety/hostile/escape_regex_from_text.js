// The same pattern from text.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab".match("(a+)+$"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
