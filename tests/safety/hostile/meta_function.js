// Says what it is by code.
export const meta = { name: () => "x", lookback: 5 }; // here
export function decide() {
  return { intent: "hold" };
}
