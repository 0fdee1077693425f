// Careful code: it checks its own state and starts again when something is amiss.
export const meta = { name: "careful", lookback: 30 };

function restored(state) {
  try {
    if (state === null) throw new Error("nothing yet");
    if (!Array.isArray(state.highs)) throw new TypeError("not a list");
    return state;
  } catch (error) {
    return { highs: [], why: error.message };
  } finally {
    // Nothing to close.
  }
}

export function decide(bars, state) {
  const memory = restored(state);
  const high = bars.high[bars.high.length - 1];
  const highs = [...memory.highs, high].slice(-20);
  const top = Math.max(...highs);
  const isNew = highs.length === 20 && high >= top;
  return {
    intent: isNew ? "long" : "hold",
    stop: isNew ? 0.02 : null,
    target: undefined,
    state: { highs, why: memory.why ?? "" },
  };
}
