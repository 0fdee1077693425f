// Never ends, without a body.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  for (;;); // here
}
