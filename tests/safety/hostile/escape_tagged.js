// Calls without brackets.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = String.raw`\u0065`; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
