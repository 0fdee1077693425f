// Reads the calls of the host.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new Error("x").stack; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
