// Makes code from text, globally.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = (0, eval)("1 + 1") === 2; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
