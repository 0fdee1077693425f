// Grows a text by a method from another time.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let text = "a";
  for (;;) text = text.link(text); // here
}
