// Begins a comment that only some readers see, at the other end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let got = 3;
  while (got --> 0) {} // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
