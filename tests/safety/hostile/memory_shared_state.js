// A small state that is huge as JSON.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let nest = { a: 1 };
  for (let i = 0; i < 12; i++) nest = { a: nest, b: nest };
  return { intent: "hold", state: nest }; // here
}
