// Asks for the hooks of the language.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Symbol.iterator; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
