// Wants a hundred times what it has.
export const meta = { name: "more", lookback: 5, leverage: 100 }; // here
export function decide() {
  return { intent: "hold" };
}
