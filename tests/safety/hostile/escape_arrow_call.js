// Some readers see a call of the function, V8 sees the next statement.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let got = false;
  let f = (y) => {} // here
  (got = true)
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
