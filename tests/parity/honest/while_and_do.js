// Loops of every kind that end.
export const meta = { name: "loops", lookback: 30 };

export function decide(bars, state) {
  const { close } = bars;
  let i = close.length - 1;
  let run = 0;
  while (i > 0 && close[i] > close[i - 1]) {
    run++;
    i--;
  }
  let doubled = 1;
  do {
    doubled *= 2;
  } while (doubled < run);
  let fields = 0;
  for (const name in { a: 1, b: 2 }) if (name !== "b") fields += 1;
  for (const value of [1, 2, 3]) fields += value;
  for (;;) {
    if (fields > 100) break;
    fields += 10;
  }
  return run >= 4 && doubled >= 4
    ? { intent: "long", stop: 0.02, target: 0.03, state }
    : { intent: "hold", state };
}
