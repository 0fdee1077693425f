// Throws after 400 bars.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const n = (state ?? 0) + 1;
  if (n > 400) throw new Error("enough"); // here
  return { intent: "hold", state: n };
}
