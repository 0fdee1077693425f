// Sets a parent by way of entries.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const odd = Object.fromEntries([["__proto__", { intent: "long", stop: 0.02 }]]);
  const got = Object.assign({}, odd);
  return { ...got, state: got }; // here
}
