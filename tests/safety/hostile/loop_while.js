// Never ends.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  while (true) {} // here
}
