// Objects without end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const kept = [];
  while (true) kept.push({ a: [1, 2, 3], b: { c: kept.length } }); // here
}
