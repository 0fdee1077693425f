// Oscillators: strength, direction, and where the close stands in its range.

import { mean, rangeAt } from "./averages.js";
import { highest, lowest } from "./tape.js";

// Typical prices that differ by no more than this fraction of their sum are equal.
const TIE_FRAC = 1e-14;

/** Return Wilder's relative strength index, in [0, 100]; 0 while the close has never moved. */
export function rsi(tape, length) {
  const key = `rsi(${length})`;
  return tape.done[key] ?? (tape.done[key] = rsiStep(tape, key, length));
}

function rsiStep(tape, key, length) {
  let [gain, loss] = tape.memory[key] ?? [0, 0];
  const weight = 1 / length;
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const t = tape.count - tape.size + i;
    if (t === 0) continue;
    const change = tape.close[i] - tape.close[i - 1];
    const up = change > 0 ? change : 0;
    const down = change < 0 ? -change : 0;
    if (t > length) {
      gain += (up - gain) * weight;
      loss += (down - loss) * weight;
      continue;
    }
    gain += up;
    loss += down;
    if (t === length) {
      gain /= length;
      loss /= length;
    }
  }
  tape.memory[key] = [gain, loss];
  if (tape.count <= length) return NaN;
  return gain + loss > 0 ? 100 * (gain / (gain + loss)) : 0;
}

/** Return {adx, plus_di, minus_di}: Wilder's directional index and its two lines. */
export function adx(tape, length) {
  const key = `adx(${length})`;
  return tape.done[key] ?? (tape.done[key] = adxStep(tape, key, length));
}

function adxStep(tape, key, length) {
  let [upSum, downSum, rangeSum, index] = tape.memory[key] ?? [0, 0, 0, 0];
  const weight = 1 / length;
  for (let i = tape.size - tape.fresh; i < tape.size; i++) {
    const t = tape.count - tape.size + i;
    if (t === 0) continue;
    const up = tape.high[i] - tape.high[i - 1];
    const down = tape.low[i - 1] - tape.low[i];
    const upMove = up > 0 && up > down ? up : 0;
    const downMove = down > 0 && down > up ? down : 0;
    if (t < length) {
      upSum += upMove;
      downSum += downMove;
      rangeSum += rangeAt(tape, i);
      continue;
    }
    upSum = upSum - upSum * weight + upMove;
    downSum = downSum - downSum * weight + downMove;
    rangeSum = rangeSum - rangeSum * weight + rangeAt(tape, i);
    const plus = rangeSum > 0 ? 100 * (upSum / rangeSum) : 0;
    const minus = rangeSum > 0 ? 100 * (downSum / rangeSum) : 0;
    const moved = plus + minus > 0;
    const strength = moved ? 100 * (Math.abs(plus - minus) / (plus + minus)) : 0;
    if (t < 2 * length) {
      index += strength;
      if (t === 2 * length - 1) index /= length;
    } else if (moved) {
      index += (strength - index) * weight;
    }
  }
  tape.memory[key] = [upSum, downSum, rangeSum, index];
  if (tape.count <= length) return { adx: NaN, plus_di: NaN, minus_di: NaN };
  return {
    adx: tape.count < 2 * length ? NaN : index,
    plus_di: rangeSum > 0 ? 100 * (upSum / rangeSum) : 0,
    minus_di: rangeSum > 0 ? 100 * (downSum / rangeSum) : 0,
  };
}

/** Return {k, d}: where the close stands in the range of `length` bars, percent, smoothed twice. */
export function stochastic(tape, length, smooth, signal) {
  const nShares = Math.min(smooth + signal - 1, tape.count - length + 1);
  const shares = [];
  for (let stop = tape.size - nShares + 1; stop <= tape.size; stop++) {
    const low = lowest(tape.low, stop, length);
    const spread = highest(tape.high, stop, length) - low;
    shares.push(percentOf(tape.close[stop - 1] - low, spread));
  }
  const smoothedShares = [];
  for (let stop = smooth; stop <= nShares; stop++) smoothedShares.push(mean(shares, stop, smooth));
  const n = smoothedShares.length;
  return {
    k: n < 1 ? NaN : smoothedShares[n - 1],
    d: n < signal ? NaN : mean(smoothedShares, n, signal),
  };
}

/** Return {up, down, oscillator}: how fresh the extremes of the last length + 1 bars are. */
export function aroon(tape, length) {
  if (tape.count <= length) return { up: NaN, down: NaN, oscillator: NaN };
  const newest = tape.size - 1;
  let sinceHigh = 0;
  let sinceLow = 0;
  for (let age = 1; age <= length; age++) {
    if (tape.high[newest - age] > tape.high[newest - sinceHigh]) sinceHigh = age;
    if (tape.low[newest - age] < tape.low[newest - sinceLow]) sinceLow = age;
  }
  return {
    up: (100 * (length - sinceHigh)) / length,
    down: (100 * (length - sinceLow)) / length,
    oscillator: (100 * (sinceLow - sinceHigh)) / length,
  };
}

/** Return the commodity channel index of the typical price; 0 where nothing deviates. */
export function cci(tape, length) {
  if (tape.count < length) return NaN;
  const typical = [];
  for (let i = tape.size - length; i < tape.size; i++) typical.push(typicalAt(tape, i));
  const middle = mean(typical, length, length);
  let deviation = 0;
  for (let i = 0; i < length; i++) deviation += Math.abs(typical[i] - middle);
  deviation /= length;
  if (!(deviation > TIE_FRAC * middle)) return 0;
  return (typical[length - 1] - middle) / (0.015 * deviation);
}

/** Return the change of the close over `length` bars, percent. */
export function roc(tape, length) {
  if (tape.count <= length) return NaN;
  return (tape.close[tape.size - 1] / tape.close[tape.size - 1 - length] - 1) * 100;
}

/** Return Williams %R: the close below the highest high of `length` bars, percent of the range. */
export function williamsR(tape, length) {
  if (tape.count < length) return NaN;
  const top = highest(tape.high, tape.size, length);
  const spread = top - lowest(tape.low, tape.size, length);
  return percentOf(tape.close[tape.size - 1] - top, spread);
}

/** Return the money flow index, in [0, 100]; 0 where nothing flowed. */
export function mfi(tape, length) {
  if (tape.count <= length) return NaN;
  let bought = 0;
  let sold = 0;
  for (let i = tape.size - length; i < tape.size; i++) {
    const now = typicalAt(tape, i);
    const before = typicalAt(tape, i - 1);
    const tie = TIE_FRAC * (now + before);
    if (now - before > tie) bought += now * tape.volume[i];
    else if (now - before < -tie) sold += now * tape.volume[i];
  }
  const total = bought + sold;
  return total > 0 ? (bought / total) * 100 : 0;
}

/** Return (high + low + close) / 3 of bar `i`. */
export function typicalAt(tape, i) {
  return (tape.high[i] + tape.low[i] + tape.close[i]) / 3;
}

function percentOf(distance, spread) {
  return spread !== 0 ? (distance / spread) * 100 : 0;
}
