// Never ends, by a label.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  outer: for (;;) { // here
    for (;;) continue outer;
  }
}
