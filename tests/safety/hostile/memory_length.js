// Room by a length.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = [];
  values.length = 30000000; // here
  return { intent: "hold", state: values.length };
}
