// A column as state.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold", state: bars.close }; // here
}
