// Keeps what it saw in a closure.
export const meta = { name: "hostile", lookback: 20 };
const counter = (() => {
  let n = 0;
  return () => (n += 1);
})();
export function decide(bars, state) {
  const isSeventh = counter() % 7 === 0;
  return isSeventh ? { intent: "long", stop: 0.02, state } : { intent: "hold", state }; // here
}
