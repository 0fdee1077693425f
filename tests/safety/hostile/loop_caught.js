// Catches the end of its fuel.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  for (;;) {
    try {
      for (;;) {}
    } catch {} // here
  }
}
