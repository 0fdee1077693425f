// Runs when it is written to.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const sly = { set x(value) { bars.close[0] = value; } }; // here
  sly.x = 1;
  return sly;
}
