// One of 32 GiB.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const room = new Float64Array(2 ** 32); // here
  return { intent: "hold", state: room.length };
}
