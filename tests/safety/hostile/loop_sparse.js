// Walks over four thousand million holes.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = [];
  values[4000000000] = 1;
  values.forEach(() => 0); // here
}
