// Copies by an iterator, whose size nobody sees.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = Array.from({ length: 20000 }, (_, i) => i);
  for (;;) [...values.values()]; // here
}
