// Writes numbers in twos, which takes V8 for ever.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  for (;;) (1.1e-300).toString(2); // here
}
