// Functions that hold functions.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let chain = () => 0;
  for (;;) { // here
    const before = chain;
    chain = () => before();
  }
}
