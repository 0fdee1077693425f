// Functions that return functions, default arguments, destructuring, spread and optional chains.
export const meta = { name: "closures", lookback: 50, direction: "both" };

const smoother = (weight = 0.1) => (before, value) => before + (value - before) * weight;
const fast = smoother(0.2);
const slow = smoother();

const DEFAULTS = { fast: null, slow: null, n: 0 };

export function decide(bars, state) {
  const close = bars.close.at(-1);
  const memory = { ...DEFAULTS, ...state };
  const next = {
    fast: fast(memory?.fast ?? close, close),
    slow: slow(memory?.slow ?? close, close),
    n: memory.n + 1,
  };
  const [first, , third = 0] = [next.fast, 0, next.slow];
  const spread = first / third - 1;
  const isReady = next.n > 60;
  if (isReady && spread > 0.002) return { intent: "long", stop: 0.02, size: 1, state: next };
  if (isReady && spread < -0.002) return { intent: "short", stop: 0.02, size: 1, state: next };
  return { intent: "hold", state: next };
}
