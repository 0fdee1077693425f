// Reflects.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = Reflect.ownKeys(Object); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
