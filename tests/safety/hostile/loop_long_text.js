// Reads a number of a thousand million digits.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let text = "1";
  for (let i = 0; i < 30; i++) text += text; // here
  let n = 0;
  for (let i = 0; i < 1e5; i++) n += Number(text);
  return { intent: "hold", state: n };
}
