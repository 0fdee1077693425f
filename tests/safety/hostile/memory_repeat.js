// Half a gigabyte of text in one call.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  return { intent: "hold", state: "x".repeat(2 ** 29) }; // here
}
