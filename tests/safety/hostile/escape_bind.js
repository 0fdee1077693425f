// Takes a method from its object.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = [].map.bind([1])((x) => x).length; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
