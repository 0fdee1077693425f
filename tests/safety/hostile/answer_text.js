// Answers with a word.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return "long"; // here
}
