// Begins a comment that only some readers see.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let got = 0;
  got = 1 <!--got; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
