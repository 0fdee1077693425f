// Counts outside its state.
export const meta = { name: "hostile", lookback: 20 };
let n = 0;
export function decide(bars, state) {
  n += 1; // here
  return { intent: n % 7 === 0 ? "long" : "hold", stop: 0.02, state };
}
