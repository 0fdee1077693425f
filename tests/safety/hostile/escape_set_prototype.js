// Changes the parent of a value.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  Object.setPrototypeOf(state ?? {}, null); // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
