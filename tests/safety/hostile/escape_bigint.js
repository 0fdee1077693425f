// A number without end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = 2n ** 10000000n > 1n; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
