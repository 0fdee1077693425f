// Smaller when the market is wild.
import { follow, macd, sizeFor } from "paddock";

export const meta = { name: "calm macd", timeframe: "5m", lookback: 101, direction: "both" };

export function decide(bars, state) {
  const own = follow("5m", bars, state);
  const { histogram, macd: line } = macd(own, 12, 26, 9);
  const size = sizeFor(own, 0.4, 105120, 1);
  let intent = "hold";
  if (histogram > 0 && line < 0) intent = "long";
  if (histogram < 0 && line > 0) intent = "short";
  return { intent, stop: 0.02, trailing: 0.02, size, state: own.memory };
}
