// Reaches Function under a composed name.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const name = "con" + "structor";
  const got = [][name][name]("return 7")() === 7; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
