// Goes short without saying so.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "short", stop: 0.02 }; // here
}
