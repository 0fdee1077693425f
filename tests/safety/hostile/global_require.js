// Reads a file.
export const meta = { name: "hostile", lookback: 20 };
export function decide(bars, state) {
  const got = require("fs").readFileSync("/etc/passwd"); // here
  return { intent: got ? "long" : "hold", stop: 0.02, state };
}
