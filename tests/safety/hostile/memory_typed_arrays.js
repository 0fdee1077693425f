// Typed arrays, which the heap limit does not see.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const kept = [];
  for (;;) kept.push(new Float64Array(1e7).fill(1)); // here
}
