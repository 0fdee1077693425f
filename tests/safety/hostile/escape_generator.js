// A list without end.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  function* endless() { while (true) yield 1; } // here
  const got = [...endless()].length;
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
