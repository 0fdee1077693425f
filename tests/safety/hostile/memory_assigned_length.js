// Makes room by assigning from an object.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const values = [];
  Object.assign(values, { length: 30000000 }); // here
  return { intent: "hold", state: values.length };
}
