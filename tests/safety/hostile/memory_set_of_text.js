// Names without end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const set = new Set();
  for (let i = 0; ; i++) set.add(`name ${i}`); // here
}
