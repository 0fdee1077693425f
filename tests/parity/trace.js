// A shell for the sandbox that records numbers instead of answers: `decide` returns {values, state}.

const $$COLUMN_NAMES = ["t", "open", "high", "low", "close", "volume"];
const $$WIDTH = 11;
let $$series = null;
let $$results = null;
let $$now = null;

function $$alone() {}

function $$load(fuel) {
  $$refuel(fuel);
  try {
    $$now = $$strategy();
    return JSON.stringify({ meta: $$now.meta });
  } catch (error) {
    return JSON.stringify({ error: { code: "load", message: `${error.stack}`, place: -1 } });
  }
}

function $$columns(nBars) {
  $$series = $$COLUMN_NAMES.map(() => new Float64Array(nBars));
  $$results = new Float64Array(nBars * $$WIDTH).fill(NaN);
}

function $$run(first, stop, lookback, stateText, fuel) {
  let text = stateText;
  for (let t = first; t < stop; t++) {
    const from = Math.max(0, t + 1 - lookback);
    const [times, open, high, low, close, volume] = $$series.map((c) => c.slice(from, t + 1));
    $$refuel(fuel);
    try {
      const bars = { t: times, open, high, low, close, volume };
      const { values, state } = $$now.decide(bars, JSON.parse(text));
      text = JSON.stringify(state);
      for (let k = 0; k < values.length; k++) $$results[t * $$WIDTH + k] = values[k];
    } catch (error) {
      return JSON.stringify({ error: { code: "throw", message: `${error.stack}` }, bar: t });
    }
  }
  return JSON.stringify({ state: text, n_bars: stop });
}
