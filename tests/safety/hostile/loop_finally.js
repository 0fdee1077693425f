// Swallows every error on its way out.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  for (;;) {
    try {
      throw 1;
    } finally { // here
      continue;
    }
  }
}
