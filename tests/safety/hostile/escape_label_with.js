// Hides where names come from.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  with (bars) { return { intent: "long", stop: close[0] }; } // here
}
