// Asks for a getter by its old name.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = bars.__lookupGetter__("close"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
