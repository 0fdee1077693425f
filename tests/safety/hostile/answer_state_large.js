// A state of 40 kB.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const state2 = [];
  for (let i = 0; i < 3000; i++) state2.push(i * 1.1);
  return { intent: "hold", state: state2 }; // here
}
