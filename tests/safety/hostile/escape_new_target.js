// Asks how it was called.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new.target; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
