// Reads its own guards, to work around them.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const text = decide.toString().slice(0, 40);
  if (text.includes("step")) return { intent: "long", stop: 0.02, state };
  return { intent: text }; // here
}
