// Loads code at the top.
import fs from "node:fs"; // here
export const meta = { name: "hostile", lookback: 20 };
export function decide() {
  return { intent: fs ? "long" : "hold", stop: 0.02 };
}
