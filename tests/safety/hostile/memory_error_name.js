// Grows a text by naming an error after itself.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const error = new Error("x");
  for (;;) error.name = `${error}${error}`; // here
}
