// Reaches the parent of all objects.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = {}.__proto__; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
