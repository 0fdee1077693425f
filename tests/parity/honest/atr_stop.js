// The stop is three average true ranges away: it differs from entry to entry.
import { atr, crossing, ema, follow, newest } from "paddock";

export const meta = { name: "atr stop", lookback: 2, direction: "both" };

const SLOWEST = 0.05;
const TIGHTEST = 0.002;

function between(low, value, high) {
  return Math.min(high, Math.max(low, value));
}

export function decide(bars, state) {
  const own = follow("5m", bars, state);
  const fast = ema(own, 12);
  const slow = ema(own, 26);
  const cross = crossing(own, "fast over slow", fast, slow);
  const range = atr(own, 14).value / newest(own.close);
  const stop = between(TIGHTEST, 3 * range, SLOWEST);
  let intent = "hold";
  if (cross.above) intent = "long";
  else if (cross.below) intent = "short";
  if (Number.isNaN(stop)) intent = "hold";
  return { intent, stop, target: 2 * stop, state: own.memory };
}
