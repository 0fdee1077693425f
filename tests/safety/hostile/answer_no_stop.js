// Enters without a stop.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", target: 0.05 }; // here
}
