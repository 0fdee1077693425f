// Compiles machine code.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
