// The library's RSI and an exponential average of one hour as a filter.
import { ema, follow, longer, newest, rsi } from "paddock";

export const meta = { name: "rsi with the hour", timeframe: "5m", lookback: 14, direction: "long" };

export function decide(bars, state) {
  const own = follow("5m", bars, state);
  const hour = longer(own, "1h", { close: 2 });
  const strength = rsi(own, 14);
  const trend = ema(hour, 20);
  const close = newest(own.close);

  const isCheap = strength < 30 && close > trend;
  const isDear = strength > 65;
  return {
    intent: isCheap ? "long" : isDear ? "flat" : "hold",
    stop: 0.015,
    target: 0.03,
    size: 1,
    confidence: isCheap ? (30 - strength) / 30 : 0,
    state: own.memory,
  };
}
