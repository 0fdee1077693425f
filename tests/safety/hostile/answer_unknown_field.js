// Misspells its stop.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stopLoss: 0.02 }; // here
}
