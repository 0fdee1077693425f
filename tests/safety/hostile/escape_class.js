// Hides code in a class.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  class Trick { static intent = "long"; } // here
  const got = Trick.intent;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
