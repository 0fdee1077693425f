// A stop that is never reached.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 1 / 0 }; // here
}
