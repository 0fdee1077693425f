// Replaces the guards.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const $$step = () => 0; // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
