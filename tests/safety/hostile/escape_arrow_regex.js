// Some readers see a division by a text, V8 sees a pattern and then code.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let got = false;
  let f = (y) => {} // here
  /"/; got = Date.now() > 0; "/ 1;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
