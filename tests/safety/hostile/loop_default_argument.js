// Doubles inside default arguments.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const grow = (n, a = n && grow(n - 1), b = n && grow(n - 1)) => 1; // here
  return { intent: "hold", state: grow(60) };
}
