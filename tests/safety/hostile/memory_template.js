// Doubles a text forty times, by templates.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let text = "ab";
  for (let i = 0; i < 40; i++) text = `${text}${text}`; // here
  return { intent: "hold", state: text };
}
