// Takes the constructor by destructuring.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const { constructor: Maker } = () => 0; // here
  const got = Maker("return 7")() === 7;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
