// A list from a length.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const room = Array.from({ length: 2 ** 40 }, () => 0); // here
  return { intent: "hold", state: room.length };
}
