// Spells the name by numbers.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const name = String.fromCharCode(99, 111, 110, 115, 116, 114, 117, 99, 116, 111, 114);
  const got = (() => 0)[name]("return 7")() === 7; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
