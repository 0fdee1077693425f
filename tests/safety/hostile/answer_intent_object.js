// Wants an object that reads as a word.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: { toString: () => "long" } }; // here
}
