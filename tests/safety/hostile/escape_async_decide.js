// Is a promise instead of an answer.
export const meta = { name: "hostile", lookback: 20 };
export async function decide() { // here
  return { intent: "long", stop: 0.02 };
}
