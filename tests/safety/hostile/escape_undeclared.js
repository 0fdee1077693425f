// Makes a name of the whole world.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  leaked = bars.close[0]; // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
