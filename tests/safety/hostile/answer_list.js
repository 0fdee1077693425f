// Answers with a list.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return ["long"]; // here
}
