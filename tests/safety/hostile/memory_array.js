// Two thousand million numbers; V8 ends the process for it.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const room = new Array(2 ** 31).fill(0); // here
  return { intent: "hold", state: room.length };
}
