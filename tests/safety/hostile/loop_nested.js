// Ends, in some hours.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  let n = 0;
  for (let i = 0; i < 1e5; i++) {
    for (let j = 0; j < 1e5; j++) n += j; // here
  }
  return { intent: "hold", state: n };
}
