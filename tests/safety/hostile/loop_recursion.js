// Calls itself for ever.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) { // here
  return decide(bars, state);
}
