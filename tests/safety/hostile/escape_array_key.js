// Hides a name in a list that becomes text.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = [][["constructor"]]; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
