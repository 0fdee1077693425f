// What volume says: on-balance volume, the day's average price, volume against its average.

import { mean } from "./averages.js";
import { typicalAt } from "./oscillators.js";

const DAY_MS = 86400000;

/** Return on-balance volume, begun with the first bar's volume; only its changes mean anything. */
export function obv(tape) {
  return tape.done.obv ?? (tape.done.obv = obvStep(tape));
}

function obvStep(tape) {
  let level = tape.memory.obv ?? 0;
  for (let i = tape.size - tape.fresh; i < tape.size; i++) level = flowed(tape, i, level);
  tape.memory.obv = level;
  return tape.count > 0 ? level : NaN;
}

/** Return the mean of on-balance volume over `length` bars. */
export function obvAverage(tape, length) {
  const key = `obv(${length})`;
  return tape.done[key] ?? (tape.done[key] = obvAverageStep(tape, key, length));
}

// Only the window's oldest level is remembered: from it on, the bars give the others.
function obvAverageStep(tape, key, length) {
  let oldest = tape.memory[key] ?? null;
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const t = tape.count - tape.size + i;
    if (t === 0) oldest = tape.volume[i];
    else if (t >= length) oldest = flowed(tape, i - length + 1, oldest);
  }
  tape.memory[key] = oldest;
  if (tape.count < length) return NaN;
  let level = oldest;
  let excess = 0;
  for (let i = tape.size - length + 1; i < tape.size; i++) {
    level = flowed(tape, i, level);
    excess += level - oldest;
  }
  return oldest + excess / length;
}

function flowed(tape, i, level) {
  if (tape.count - tape.size + i === 0) return tape.volume[i];
  const change = tape.close[i] - tape.close[i - 1];
  if (change > 0) return level + tape.volume[i];
  return change < 0 ? level - tape.volume[i] : level;
}

/** Return the volume-weighted typical price of the UTC day so far; NaN while nothing traded. */
export function vwap(tape) {
  return tape.done.vwap ?? (tape.done.vwap = vwapStep(tape));
}

function vwapStep(tape) {
  let [day, turnover, traded] = tape.memory.vwap ?? [-1, 0, 0];
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const today = Math.floor(tape.t[i] / DAY_MS);
    if (today !== day) {
      day = today;
      turnover = 0;
      traded = 0;
    }
    turnover += typicalAt(tape, i) * tape.volume[i];
    traded += tape.volume[i];
  }
  tape.memory.vwap = [day, turnover, traded];
  return traded > 0 ? turnover / traded : NaN;
}

/** Return the volume over its mean of `length` bars; NaN where that mean is zero. */
export function volumeRatio(tape, length) {
  const usual = volumeSma(tape, length);
  return usual !== 0 ? tape.volume[tape.size - 1] / usual : NaN;
}

/** Return the mean of the last `length` volumes. */
export function volumeSma(tape, length) {
  return tape.count < length ? NaN : mean(tape.volume, tape.size, length);
}
