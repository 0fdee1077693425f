// Walks by a helper with a built-in function, which takes no step.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = Array.from({ length: 20000 }, (_, i) => i);
  for (;;) new Set(values.values()); // here
}
