// More than it said it would take.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 0.005, size: 2.5 }; // here
}
