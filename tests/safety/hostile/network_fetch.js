// Sends the bars away.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = typeof fetch === "function" && fetch("http://127.0.0.1:9/"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
