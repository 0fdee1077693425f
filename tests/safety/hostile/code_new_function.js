// Makes a function from text with new.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Function("return 1")() === 1; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
