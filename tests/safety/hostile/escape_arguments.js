// Looks at all arguments, also unnamed ones.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = arguments.length > 2; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
