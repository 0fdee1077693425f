// A map without end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const map = new Map();
  for (let i = 0; ; i++) map.set(i, [i, i, i]); // here
}
