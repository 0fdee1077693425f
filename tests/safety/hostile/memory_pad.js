// Half a gigabyte of blanks in one call.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold", state: "x".padEnd(2 ** 29) }; // here
}
