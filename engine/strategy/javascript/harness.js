// Runs a strategy over many bars inside the sandbox; Python calls $$load, $$columns and $$run.

const $$COLUMN_NAMES = ["t", "open", "high", "low", "close", "volume"];
const $$OUTPUTS = 8; // intent, leave, stop, target, trailing, max_bars, size, confidence
const $$MEASURES = 3; // place of the answer, fuel spent, bytes of the state
let $$series = null;
let $$results = null;
let $$strategyNow = null;

/** Read the strategy; return its meta, or what went wrong, as JSON. */
function $$load(fuel) {
  $$refuel(fuel);
  try {
    $$strategyNow = $$strategy();
    if ($$isSpent) $$out();
    const { meta, decide } = $$strategyNow;
    if (typeof decide !== "function") throw new $$AnswerError("decide", "decide is no function");
    if (meta === null || typeof meta !== "object" || Array.isArray(meta)) {
      throw new $$AnswerError("meta", "meta is no object");
    }
    return JSON.stringify({ meta: JSON.parse($$jsonText(meta, "meta")) });
  } catch (error) {
    return JSON.stringify({ error: $$told(error) });
  }
}

/** Make room for `nBars` bars and their answers; return the two buffers to fill and to read. */
function $$columns(nBars) {
  $$series = $$COLUMN_NAMES.map(() => new Float64Array(nBars));
  $$results = new Float64Array(nBars * ($$OUTPUTS + $$MEASURES));
}

/**
 * Ask the strategy about bars first <= t < stop, beginning with a state (JSON text); return what
 * went wrong and the last state as JSON. The columns it sees are copies: writing changes nothing.
 */
function $$run(first, stop, lookback, stateText, fuel) {
  const nBars = $$series[0].length;
  const { decide } = $$strategyNow;
  const windows = $$COLUMN_NAMES.map(() => new Float64Array(lookback));
  const steady = $$bars(windows);
  let text = stateText;
  for (let t = first; t < stop; t++) {
    $$beat[0] = t;
    const from = t + 1 - lookback;
    let bars = steady;
    if (from >= 0) {
      for (let c = 0; c < 6; c++) windows[c].set($$series[c].subarray(from, t + 1));
    } else {
      bars = $$bars($$series.map((column) => column.slice(0, t + 1)));
    }
    $$refuel(fuel);
    try {
      const answer = decide(bars, text === "null" ? null : JSON.parse(text));
      if ($$isSpent) $$out();
      const place = $$beat[1];
      const spent = fuel - $$fuel;
      const found = $$checked(answer);
      text = found.state;
      const at = t * ($$OUTPUTS + $$MEASURES);
      $$results[at] = found.intent;
      $$results[at + 1] = found.leave;
      $$results[at + 2] = found.stop;
      $$results[at + 3] = found.target;
      $$results[at + 4] = found.trailing;
      $$results[at + 5] = found.max_bars;
      $$results[at + 6] = found.size;
      $$results[at + 7] = found.confidence;
      $$results[at + 8] = place;
      $$results[at + 9] = spent;
      $$results[at + 10] = text.length;
    } catch (error) {
      return JSON.stringify({ error: $$told(error), bar: t });
    }
  }
  return JSON.stringify({ state: text, n_bars: nBars });
}

function $$bars(columns) {
  const [t, open, high, low, close, volume] = columns.map(Object.preventExtensions);
  return Object.freeze({ t, open, high, low, close, volume });
}

// What is thrown may be anything.
function $$told(error) {
  try {
    const isError = error instanceof Error;
    return {
      code: $$isSpent ? "fuel" : isError && error.paddock ? `${error.paddock}` : "throw",
      message: isError ? `${error.name}: ${error.message}`.slice(0, 300) : $$shown(error),
      stack: isError ? `${error.stack}`.slice(0, 4000) : "",
      place: $$beat[1],
    };
  } catch {
    return { code: "throw", message: "something that cannot be shown", stack: "", place: $$beat[1] };
  }
}

/** Leave nothing in this world but what the guards and this file use. */
function $$alone() {
  const kept = new Set([
    ...["Object", "Array", "String", "Number", "Boolean", "Map", "Set", "Math", "JSON"],
    ...["Error", "TypeError", "RangeError", "ArrayBuffer", "Float64Array", "Float32Array"],
    ...["Int32Array", "Uint32Array", "Int16Array", "Uint16Array", "Int8Array", "Uint8Array"],
    ...["isNaN", "isFinite", "parseInt", "parseFloat", "undefined", "NaN", "Infinity"],
  ]);
  const world = globalThis;
  const forget = Reflect.deleteProperty;
  for (const name of Reflect.ownKeys(world)) {
    if (!kept.has(name) && !(typeof name === "string" && name.startsWith("$$"))) {
      forget(world, name);
    }
  }
}
