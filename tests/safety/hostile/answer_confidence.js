// Surer than sure.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 0.02, confidence: 7 }; // here
}
