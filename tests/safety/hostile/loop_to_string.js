// Never ends when it becomes text.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const sly = { toString: () => { for (;;) {} } }; // here
  return { intent: "hold", state: `${sly}` };
}
