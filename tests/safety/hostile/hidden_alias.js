// Changes an outer value through another name.
export const meta = { name: "hostile", lookback: 20 };
const memory = { n: 0 };
export function decide(bars, state) {
  const mine = memory;
  mine.n += 1;
  const isSeventh = mine.n % 7 === 0;
  return isSeventh ? { intent: "long", stop: 0.02, state } : { intent: "hold", state }; // here
}
