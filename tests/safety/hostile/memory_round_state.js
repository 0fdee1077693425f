// A state that holds itself.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const nest = {};
  nest.nest = nest;
  return { intent: "hold", state: nest }; // here
}
