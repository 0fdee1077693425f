// Fills its own tank.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  $$fuel = 1e9; // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
