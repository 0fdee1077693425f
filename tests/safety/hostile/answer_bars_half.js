// Holds for half a bar more.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "long", stop: 0.02, max_bars: 2.5 }; // here
}
