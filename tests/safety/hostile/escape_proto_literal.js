// Sets a parent in a literal.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = { __proto__: { intent: "long" } }.intent; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
