// Reads what is not there.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return state.x.y; // here
}
