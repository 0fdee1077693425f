// Sorts for ever.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = Array.from({ length: 1000 }, (_, i) => i);
  for (;;) values.sort(() => 1); // here
}
