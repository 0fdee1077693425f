// The same with the name computed.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const key = "constructor";
  const { [key]: Maker } = () => 0; // here
  const got = Maker("return 7")() === 7;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
