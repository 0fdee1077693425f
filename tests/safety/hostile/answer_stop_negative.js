// A stop on the wrong side.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: -0.02 }; // here
}
