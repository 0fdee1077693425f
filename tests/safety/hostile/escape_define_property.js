// Redefines a column.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  Object.defineProperty(bars, "close", { get: () => 1 }); // here
  const got = false;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
