// Turtle: in at the highest high of 55 bars, out at the lowest low of 20.
import { donchian, entering, follow, leaving, newest } from "paddock";

export const meta = { name: "turtle", lookback: 56 };

export const decide = (bars, state) => {
  const own = follow("5m", bars, state);
  const wide = donchian(own, 55);
  const narrow = donchian(own, 20);
  const close = newest(own.close);
  return {
    intent: entering(close > wide.prior_upper, false),
    leave: leaving(close < narrow.prior_lower, false),
    stop: 0.02,
    trailing: 0.03,
    state: own.memory,
  };
};
