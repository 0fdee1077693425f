// Waits for a squeeze, then for a break of it: a small machine in the state.
import { bollinger, follow, newest } from "paddock";

export const meta = { name: "squeeze", lookback: 20, symbols: ["BTC/USDT", "ETH/USDT"] };

const NEXT = {
  waiting: (bands) => (bands.bandwidth < 0.006 ? "squeezed" : "waiting"),
  squeezed: (bands, close) => (close > bands.upper ? "broken" : bands.bandwidth > 0.012 ? "waiting" : "squeezed"),
  broken: () => "waiting",
};

export function decide(bars, state) {
  const own = follow("5m", bars, state?.own ?? null);
  const phase = state?.phase ?? "waiting";
  const bands = bollinger(own, 20, 2);
  const next = NEXT[phase](bands, newest(own.close));
  const isBreak = next === "broken";
  return {
    intent: isBreak ? "long" : "hold",
    stop: 0.01,
    target: 0.03,
    confidence: isBreak ? 1 : 0,
    state: { own: own.memory, phase: next },
  };
}
