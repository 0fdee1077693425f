// A small value whose text is a thousand million long.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let nest = [1];
  for (let i = 0; i < 30; i++) nest = [nest, nest];
  return { intent: "hold", state: `${nest}` }; // here
}
