// A state that grows until it is too large.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const kept = state ?? [];
  kept.push("a text that is kept for ever, on every bar one more");
  return { intent: "hold", state: kept }; // here
}
