// Makes a function from text.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Function("return 1")() === 1; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
