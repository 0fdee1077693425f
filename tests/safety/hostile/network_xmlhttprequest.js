// Asks a server.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new XMLHttpRequest(); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
