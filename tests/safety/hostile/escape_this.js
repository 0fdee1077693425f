// Asks for the world by this.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = this !== undefined; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
