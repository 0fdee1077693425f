// Shares memory.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = new SharedArrayBuffer(8); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
