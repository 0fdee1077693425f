// A short recursion: the halves of a window agree, and their halves too.
export const meta = { name: "halves", lookback: 64 };

function agrees(values, first, stop) {
  if (stop - first <= 8) return true;
  const middle = (first + stop) >> 1;
  const isRising = values[stop - 1] > values[middle] && values[middle] > values[first];
  return isRising && agrees(values, middle, stop);
}

export function decide(bars, state) {
  const n = bars.close.length;
  const isTrend = n === 64 && agrees(bars.close, 0, n);
  return { intent: isTrend ? "long" : "hold", stop: 0.02, target: 0.05, state };
}
