// Spells the name with a template.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const part = "struct";
  const got = [][`con${part}or`]; // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
