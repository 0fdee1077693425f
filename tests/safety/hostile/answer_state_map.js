// A state that JSON forgets.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold", state: new Map([[1, 2]]) }; // here
}
