// Is not JavaScript.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold" ; // here
}
