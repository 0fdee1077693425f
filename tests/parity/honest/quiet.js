// The least a strategy can say: nothing, on every bar.
export const meta = { name: "quiet", lookback: 1 };

export function decide() {
  return { intent: "hold" };
}
