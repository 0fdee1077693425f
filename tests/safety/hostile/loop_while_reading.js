// Never ends while it is read.
export const meta = { name: "hostile", lookback: 20 };
for (;;) {} // here
export function decide() {
  return { intent: "hold" };
}
