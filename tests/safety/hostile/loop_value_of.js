// Never ends when it becomes a number.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const sly = { valueOf: () => { for (;;) {} } }; // here
  return { intent: "hold", state: sly * 1 };
}
