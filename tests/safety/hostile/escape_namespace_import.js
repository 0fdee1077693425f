// Takes the whole library as an object.
import * as all from "paddock"; // here
export const meta = { name: "hostile", lookback: 20 };
export function decide() {
  return { intent: all ? "long" : "hold", stop: 0.02 };
}
