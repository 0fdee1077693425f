// Writes what only the host writes.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = JSON.stringify(bars); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
