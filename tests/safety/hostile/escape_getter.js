// Answers differently each time it is read.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const sly = { get intent() { return "long"; } }; // here
  return sly;
}
