// Never ends, by callbacks.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const endless = [0];
  endless.forEach(function again() {
    endless.forEach(again); // here
  });
}
