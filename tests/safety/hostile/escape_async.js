// Answers later.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const later = async () => 1; // here
  const got = later();
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
