// Never ends, asking afterwards.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  do {} while (true); // here
}
