// Returns from the module, so that what follows never counts.
export const meta = { name: "hostile", lookback: 20 };
return { meta, decide: () => ({ intent: "long", stop: 0.02 }) }; // here
export function decide(bars, state) {
  return { intent: "hold" };
}
