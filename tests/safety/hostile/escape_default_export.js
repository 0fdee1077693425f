// Exports something else.
export const meta = { name: "hostile", lookback: 20 };
export function decide() {
  return { intent: "hold" };
}
export default { fetch() {} }; // here
