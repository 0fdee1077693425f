// A state five thousand deep.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let nest = {};
  for (let i = 0; i < 5000; i++) nest = { nest };
  return { intent: "hold", state: nest }; // here
}
