// Half Kelly sizes from the trades so far, decided by the engine; no size of its own.
import { bollinger, follow, newest } from "paddock";

export const meta = { name: "kelly bands", lookback: 20, sizing: "kelly", on_opposite: false };

export function decide(bars, state) {
  const own = follow("5m", bars, state);
  const bands = bollinger(own, 20, 2);
  const close = newest(own.close);
  if (close < bands.lower) return { intent: "long", stop: 0.02, target: 0.02, state: own.memory };
  if (close > bands.middle) return { intent: "flat", state: own.memory };
  return { intent: "hold", state: own.memory };
}
