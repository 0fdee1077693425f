// Behaves for 299 bars.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const n = (state ?? 0) + 1;
  if (n === 300) for (;;) {} // here
  return { intent: "hold", state: n };
}
