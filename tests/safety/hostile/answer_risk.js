// Loses a third of equity at its stop.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 0.3, size: 1 }; // here
}
