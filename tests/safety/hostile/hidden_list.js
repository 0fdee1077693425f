// Keeps a list outside its state.
export const meta = { name: "hostile", lookback: 20 };
const seen = [];
export function decide(bars, state) {
  seen.push(bars.close.at(-1)); // here
  return { intent: seen.length % 7 === 0 ? "long" : "hold", stop: 0.02, state };
}
