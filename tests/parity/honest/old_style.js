/* Written as one wrote in 2009: var, function expressions, no arrows. */
var settings = { length: 30, distance: 0.01 };

function lowest(values) {
  var best = Infinity;
  for (var i = 0; i < values.length; i++) {
    if (values[i] < best) {
      best = values[i];
    }
  }
  return best;
}

var decide = function (bars, state) {
  var count = bars.low.length;
  if (count < settings.length) {
    return { intent: "hold", state: null };
  }
  var floor = lowest(bars.low);
  var isNear = bars.close[count - 1] / floor - 1 < settings.distance;
  if (isNear && bars.close[count - 1] > bars.open[count - 1]) {
    return { intent: "long", stop: 0.015, target: 0.02, max_bars: 60, state: null };
  }
  return { intent: "hold", state: null };
};

var meta = { name: "old style", lookback: 30 };

export { meta, decide };
