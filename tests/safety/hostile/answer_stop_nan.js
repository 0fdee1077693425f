// A stop that is no number.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 0 / 0 }; // here
}
