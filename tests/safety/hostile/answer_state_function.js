// A state that is code.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold", state: { f: () => 1 } }; // here
}
