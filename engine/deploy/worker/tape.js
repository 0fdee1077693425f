// What a strategy follows: closed bars, how many there have been, and what it remembers of them.
//
// A tape has the columns t, open, high, low, close, volume (the last `size` bars, oldest first),
// `count` bars since the strategy began, of which the last `fresh` are new to it, and `memory`, the
// part of its state where recurrences are kept.

/** Length of one bar, ms. */
export const SPAN_MS = {
  "1m": 60000,
  "3m": 180000,
  "5m": 300000,
  "15m": 900000,
  "30m": 1800000,
  "1h": 3600000,
  "2h": 7200000,
  "4h": 14400000,
  "1d": 86400000,
};

/** Return the tape of the strategy's own bars; its `memory` is the state to answer with. */
export function follow(timeframe, bars, state) {
  const size = bars.t.length;
  const memory = state === null ? { count: 0, from: bars.t[size - 1] } : state;
  memory.count += 1;
  return {
    t: bars.t,
    open: bars.open,
    high: bars.high,
    low: bars.low,
    close: bars.close,
    volume: bars.volume,
    size,
    span: SPAN_MS[timeframe],
    count: memory.count,
    fresh: 1,
    memory,
    done: {},
  };
}

/**
 * Return the tape of a longer timeframe: its bars closed by the close of the newest own bar.
 *
 * `keep` says what is read of them and how many bars back, as in {close: 20, high: 2}. A longer bar
 * is built from the own bars inside it, aligned to UTC; the one in which the strategy began is left
 * out, half of it being unknown. `lookback` must reach over one longer bar and one own bar more.
 */
export function longer(own, timeframe, keep) {
  const span = SPAN_MS[timeframe];
  const columns = Object.keys(keep);
  const memory = own.memory[timeframe] ?? begun(own, span, columns);
  own.memory[timeframe] = memory;
  const open = Math.floor((own.t[own.size - 1] + own.span) / span);
  const closed = open > memory.next ? closedBuckets(own, span, memory.next, open) : [];
  memory.next = Math.max(memory.next, open);
  memory.count += closed.length;
  const tape = { span, count: memory.count, fresh: closed.length, size: 0, memory, done: {} };
  for (const name of columns) {
    const values = memory[name];
    const surplus = values.length - keep[name] + 1;
    if (closed.length > 0 && surplus > 0) values.splice(0, surplus);
    for (const [first, stop] of closed) values.push(gathered(own, name, first, stop, span));
    tape.size = Math.max(tape.size, values.length);
  }
  for (const name of columns) tape[name] = aligned(memory[name], tape.size);
  return tape;
}

function begun(own, span, columns) {
  const memory = { count: 0, next: Math.ceil(own.memory.from / span) };
  for (const name of columns) memory[name] = [];
  return memory;
}

// Columns kept for fewer bars begin with what is not known any more.
function aligned(values, size) {
  if (values.length === size) return values;
  const column = [];
  for (let i = values.length; i < size; i++) column.push(NaN);
  for (const value of values) column.push(value);
  return column;
}

/** Return [first, stop) of the own bars inside each bucket from <= b < open that has any. */
function closedBuckets(own, span, from, open) {
  let first = own.size;
  while (first > 0 && Math.floor(own.t[first - 1] / span) >= from) first -= 1;
  const found = [];
  while (first < own.size) {
    const bucket = Math.floor(own.t[first] / span);
    if (bucket >= open) break;
    let stop = first + 1;
    while (stop < own.size && Math.floor(own.t[stop] / span) === bucket) stop += 1;
    found.push([first, stop]);
    first = stop;
  }
  return found;
}

function gathered(own, name, first, stop, span) {
  const values = own[name];
  if (name === "t") return Math.floor(own.t[first] / span) * span;
  if (name === "open") return values[first];
  if (name === "close") return values[stop - 1];
  if (name === "high") return highest(values, stop, stop - first);
  if (name === "low") return lowest(values, stop, stop - first);
  return stop - first === 1 ? values[first] : values[first] + pairedSum(values, first + 1, stop);
}

// The engine adds a longer bar's volume as numpy does: in eight running sums, in halves when long.
function pairedSum(values, first, stop) {
  const length = stop - first;
  if (length > 128) {
    const half = Math.floor(length / 2);
    const middle = first + half - (half % 8);
    return pairedSum(values, first, middle) + pairedSum(values, middle, stop);
  }
  let total = 0;
  let next = first;
  if (length >= 8) {
    const sums = [0, 0, 0, 0, 0, 0, 0, 0];
    for (; next + 8 <= stop; next += 8) {
      for (let k = 0; k < 8; k++) sums[k] += values[next + k];
    }
    const front = sums[0] + sums[1] + (sums[2] + sums[3]);
    total = front + (sums[4] + sums[5] + (sums[6] + sums[7]));
  }
  for (; next < stop; next++) total += values[next];
  return total;
}

/** Return the largest of the `length` values before index `stop`. */
export function highest(values, stop, length) {
  let best = values[stop - length];
  for (let i = stop - length + 1; i < stop; i++) if (values[i] > best) best = values[i];
  return best;
}

/** Return the smallest of the `length` values before index `stop`. */
export function lowest(values, stop, length) {
  let best = values[stop - length];
  for (let i = stop - length + 1; i < stop; i++) if (values[i] < best) best = values[i];
  return best;
}
