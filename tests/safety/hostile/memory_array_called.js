// The same without new.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const room = Array(1e9).fill(0); // here
  return { intent: "hold", state: room.length };
}
