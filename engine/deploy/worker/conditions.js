// What conditions are made of, and how they become an answer. NaN makes a comparison false.

const VOLATILITY_BARS = 100;

/**
 * Return {above, below}: whether `left` crossed `right` between the last bar and this one.
 *
 * Above is left > right now and left <= right one bar before; below mirrors it. `key` names what is
 * remembered from bar to bar.
 */
export function crossing(own, key, left, right) {
  const before = own.memory[key] ?? null;
  const now = left > right ? 1 : left < right ? -1 : left === right ? 0 : null;
  own.memory[key] = now;
  return {
    above: now === 1 && before !== null && before <= 0,
    below: now === -1 && before !== null && before >= 0,
  };
}

/** Return what `value` was `bars` bars before, NaN when there is none; `key` names the memory. */
export function ago(own, key, value, bars) {
  const kept = own.memory[key] ?? (own.memory[key] = []);
  const then = kept.length < bars ? null : kept.shift();
  kept.push(value);
  return then ?? NaN;
}

/** Return a field of the bar `bars` bars before, NaN when there is none. */
export function earlier(own, field, bars) {
  return own.count > bars ? own[field][own.size - 1 - bars] : NaN;
}

/** Return the newest value of a column, NaN when it is empty. */
export function newest(column) {
  return column.length > 0 ? column[column.length - 1] : NaN;
}

/** Return how many of the conditions hold. */
export function holding(...conditions) {
  let n = 0;
  for (const holds of conditions) if (holds) n += 1;
  return n;
}

/** Return the intent: both entries at once mean none. */
export function entering(long, short) {
  if (long === short) return "hold";
  return long ? "long" : "short";
}

/** Return which positions are to be left at the next open. */
export function leaving(long, short) {
  if (long && short) return "both";
  return long ? "long" : short ? "short" : null;
}

/**
 * Return the notional fraction at which the position's volatility is `target` a year, at most
 * `most`; 0, which opens nothing, while volatility is unknown.
 */
export function sizeFor(own, target, barsPerYear, most) {
  if (own.count <= VOLATILITY_BARS) return 0;
  let total = 0;
  for (let i = own.size - VOLATILITY_BARS; i < own.size; i++) {
    total += own.close[i] / own.close[i - 1] - 1;
  }
  const mean = total / VOLATILITY_BARS;
  let squares = 0;
  for (let i = own.size - VOLATILITY_BARS; i < own.size; i++) {
    const distance = own.close[i] / own.close[i - 1] - 1 - mean;
    squares += distance * distance;
  }
  return Math.min(most, target / Math.sqrt((squares / VOLATILITY_BARS) * barsPerYear));
}
