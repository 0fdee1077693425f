// Does something later.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = setTimeout(() => 0, 1); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
