// Reads the clock by formatting it.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Intl.DateTimeFormat().format(); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
