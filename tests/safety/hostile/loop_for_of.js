// Grows what it walks over.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = [1];
  for (const value of values) values.push(value); // here
}
