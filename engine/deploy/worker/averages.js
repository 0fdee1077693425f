// Averages: of a window, exponential, and what is built on them.
//
// Every formula repeats the engine's (engine/strategy/averages.py) in the same order of operations,
// so that both give the same bits. Values not defined yet are NaN.

import { highest, lowest } from "./tape.js";

/** Return the mean of the `length` values before index `stop`: oldest + sum(value - oldest) / n. */
export function mean(values, stop, length) {
  const oldest = values[stop - length];
  let excess = 0;
  for (let i = stop - length + 1; i < stop; i++) excess += values[i] - oldest;
  return oldest + excess / length;
}

/** Return the mean of the last `length` closes. */
export function sma(tape, length) {
  return tape.count < length ? NaN : mean(tape.close, tape.size, length);
}

/** Return the exponential average of the close; it starts from the mean of the first closes. */
export function ema(tape, length) {
  return smoothed(tape, `ema(${length})`, 0, length, 2 / (length + 1), closeAt);
}

/** Return {value, percent}: Wilder's average true range, and the same over the close. */
export function atr(tape, length) {
  const value = smoothed(tape, `atr(${length})`, 1, length, 1 / length, rangeAt);
  return { value, percent: value / tape.close[tape.size - 1] };
}

/** Return {macd, signal, histogram}. */
export function macd(tape, fast, slow, signal) {
  const key = `macd(${fast},${slow},${signal})`;
  return tape.done[key] ?? (tape.done[key] = macdStep(tape, key, fast, slow, signal));
}

function macdStep(tape, key, fast, slow, signal) {
  let [quick, steady, line] = tape.memory[key] ?? [null, null, null];
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const t = tape.count - tape.size + i;
    const close = tape.close[i];
    quick = smoothStep(quick, t, slow - fast, fast, 2 / (fast + 1), close);
    steady = smoothStep(steady, t, 0, slow, 2 / (slow + 1), close);
    if (t < slow - 1) continue;
    line = smoothStep(line, t, slow - 1, signal, 2 / (signal + 1), quick - steady);
  }
  tape.memory[key] = [quick, steady, line];
  const spread = tape.count < slow ? NaN : quick - steady;
  const average = tape.count < slow + signal - 1 ? NaN : line;
  return { macd: spread, signal: average, histogram: spread - average };
}

/** Return {upper, middle, lower, percent_b, bandwidth}: `width` population deviations around. */
export function bollinger(tape, length, width) {
  const nothing = { upper: NaN, middle: NaN, lower: NaN, percent_b: NaN, bandwidth: NaN };
  if (tape.count < length) return nothing;
  const middle = mean(tape.close, tape.size, length);
  let squares = 0;
  for (let i = tape.size - length; i < tape.size; i++) {
    const distance = tape.close[i] - middle;
    squares += distance * distance;
  }
  const reach = width * Math.sqrt(squares / length);
  const upper = middle + reach;
  const lower = middle - reach;
  const spread = upper - lower;
  return {
    upper,
    middle,
    lower,
    percent_b: spread !== 0 ? (tape.close[tape.size - 1] - lower) / spread : NaN,
    bandwidth: middle !== 0 ? spread / middle : NaN,
  };
}

/** Return {upper, middle, lower}: the exponential average and `multiple` true ranges around it. */
export function keltner(tape, length, multiple) {
  const middle = ema(tape, length);
  const reach = multiple * atr(tape, length).value;
  return { upper: middle + reach, middle, lower: middle - reach };
}

/** Return {upper, middle, lower, prior_upper, prior_lower}; the prior ones leave out this bar. */
export function donchian(tape, length) {
  const { count, size, high, low } = tape;
  const upper = count < length ? NaN : highest(high, size, length);
  const lower = count < length ? NaN : lowest(low, size, length);
  return {
    upper,
    middle: (upper + lower) / 2,
    lower,
    prior_upper: count <= length ? NaN : highest(high, size - 1, length),
    prior_lower: count <= length ? NaN : lowest(low, size - 1, length),
  };
}

function smoothed(tape, key, start, length, weight, valueAt) {
  const known = tape.done[key];
  if (known !== undefined) return known;
  let held = tape.memory[key] ?? null;
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const t = tape.count - tape.size + i;
    if (t >= start) held = smoothStep(held, t, start, length, weight, valueAt(tape, i));
  }
  tape.memory[key] = held;
  return (tape.done[key] = tape.count < start + length ? NaN : held);
}

// Before its seed a smoothed value is [oldest, excess of the others over it], then a number.
function smoothStep(held, t, start, length, weight, value) {
  if (t < start) return held;
  const seeded = start + length - 1;
  if (t > seeded) return held + (value - held) * weight;
  const oldest = t === start ? value : held[0];
  const excess = t === start ? 0 : held[1] + (value - oldest);
  return t === seeded ? oldest + excess / length : [oldest, excess];
}

function closeAt(tape, i) {
  return tape.close[i];
}

/** Return the true range of bar `i`, which has a bar before it. */
export function rangeAt(tape, i) {
  const before = tape.close[i - 1];
  const gap = Math.max(Math.abs(tape.high[i] - before), Math.abs(tape.low[i] - before));
  return Math.max(tape.high[i] - tape.low[i], gap);
}
