// Leaves either side at the day's average price, enters far from it.
import { follow, leaving, newest, vwap } from "paddock";

export const meta = { name: "vwap fade", lookback: 1, direction: "both" };

export function decide(bars, state) {
  const own = follow("5m", bars, state);
  const day = vwap(own);
  const close = newest(own.close);
  const distance = close / day - 1;
  const intent = distance < -0.01 ? "long" : distance > 0.01 ? "short" : "hold";
  return {
    intent,
    leave: leaving(distance >= 0, distance <= 0),
    stop: 0.01,
    size: 0.9,
    max_bars: 144,
    state: own.memory,
  };
}
