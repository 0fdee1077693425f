// Sends a beacon.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = navigator.sendBeacon("http://127.0.0.1:9/", "x"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
