// Doubles a list forty times.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let values = [1, 2];
  for (let i = 0; i < 40; i++) values = [...values, ...values]; // here
  return { intent: "hold", state: values.length };
}
