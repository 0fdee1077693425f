// Writes where nobody asked.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = console.log(bars.close[0]); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
