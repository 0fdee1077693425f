// Throws better dice.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = crypto.getRandomValues(new Uint8Array(1)); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
