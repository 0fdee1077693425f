// Reads the environment.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = process.env.HOME; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
