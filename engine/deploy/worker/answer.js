// What a strategy may say of itself and answer: checked here for the sandbox and the Worker alike.

const $$INTENTS = new Map([
  ["hold", 0],
  ["long", 1],
  ["short", 2],
  ["flat", 3],
]);
const $$LEAVES = new Map([
  [null, 0],
  ["long", 1],
  ["short", 2],
  ["both", 3],
]);
const $$FIELDS = new Set([
  "intent",
  "leave",
  "stop",
  "target",
  "trailing",
  "max_bars",
  "size",
  "confidence",
  "state",
]);
const $$DEPTH_MAX = 16;

class $$AnswerError extends Error {
  constructor(code, message) {
    super(message);
    this.paddock = `answer.${code}`;
  }
}

/**
 * Return {intent, leave, stop, target, trailing, max_bars, size, confidence, state}: codes, numbers
 * (NaN for what is absent) and the state as JSON text.
 */
function $$checked(answer) {
  if (answer === null || typeof answer !== "object" || Array.isArray(answer)) {
    throw new $$AnswerError("shape", `decide returned ${$$shown(answer)}, not an object`);
  }
  for (const name of Object.keys(answer)) {
    if (!$$FIELDS.has(name)) throw new $$AnswerError("field", `an answer has no ${$$shown(name)}`);
  }
  const intent = $$INTENTS.get(answer.intent);
  if (intent === undefined) {
    const given = $$shown(answer.intent);
    throw new $$AnswerError("intent", `intent is ${given}: use long, short, flat or hold`);
  }
  const leave = $$LEAVES.get(answer.leave ?? null);
  if (leave === undefined) {
    const given = $$shown(answer.leave);
    throw new $$AnswerError("leave", `leave is ${given}: use long, short, both or null`);
  }
  const state = $$jsonText(answer.state ?? null, "state");
  if (intent !== 1 && intent !== 2) {
    const nothing = { stop: NaN, target: NaN, trailing: NaN, max_bars: NaN, size: NaN };
    return { intent, leave, ...nothing, confidence: NaN, state };
  }
  if (answer.stop === undefined || answer.stop === null) {
    throw new $$AnswerError("stop", "an entry without a stop: answer with a fraction such as 0.02");
  }
  return {
    intent,
    leave,
    stop: $$number(answer, "stop", 0.001, 0.5),
    target: $$number(answer, "target", 0.001, 10),
    trailing: $$number(answer, "trailing", 0.001, 0.5),
    max_bars: $$whole(answer, "max_bars", 1, 1000000),
    size: $$number(answer, "size", 0, 3),
    confidence: $$number(answer, "confidence", 0, 1),
    state,
  };
}

function $$number(answer, name, low, high) {
  const value = answer[name] ?? NaN;
  if (answer[name] === undefined || answer[name] === null) return NaN;
  if (typeof value !== "number" || !(value >= low && value <= high)) {
    const given = $$shown(value);
    throw new $$AnswerError(name, `${name} is ${given}: use a number from ${low} to ${high}`);
  }
  return value;
}

function $$whole(answer, name, low, high) {
  const value = $$number(answer, name, low, high);
  if (Number.isNaN(value) || Number.isInteger(value)) return value;
  throw new $$AnswerError(name, `${name} is ${value}: use a whole number`);
}

/** Return a state, or a meta, as JSON text of at most `$$STATE_MAX` bytes. */
function $$jsonText(value, what) {
  if (value === null) return "null";
  const room = { left: $$STATE_MAX, what };
  $$walk(value, 0, room);
  const text = JSON.stringify(value);
  const nBytes = $$bytes(text);
  if (nBytes > $$STATE_MAX) {
    throw new $$AnswerError(what, `the ${what} has ${nBytes} bytes, ${$$STATE_MAX} fit`);
  }
  return text;
}

// Bounded before anything is written: a value that holds itself many times over is small in memory.
function $$walk(value, depth, room) {
  room.left -= 1;
  if (typeof value === "string") room.left -= value.length;
  if (room.left < 0) {
    throw new $$AnswerError(room.what, `the ${room.what} has more than ${$$STATE_MAX} bytes`);
  }
  if (value === null || typeof value === "number" || typeof value === "boolean") return;
  if (value === undefined || typeof value === "string") return;
  if (typeof value !== "object") {
    const kind = typeof value;
    throw new $$AnswerError(room.what, `the ${room.what} holds a ${kind}: keep JSON values only`);
  }
  if (depth >= $$DEPTH_MAX) {
    throw new $$AnswerError(room.what, `the ${room.what} is nested too deeply`);
  }
  if (Array.isArray(value)) {
    if (value.length > room.left) room.left = 0;
    for (let i = 0; i < value.length; i++) $$walk(value[i], depth + 1, room);
    return;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    const message = `the ${room.what} holds more than plain objects and arrays`;
    throw new $$AnswerError(room.what, message);
  }
  for (const name of Object.keys(value)) {
    room.left -= name.length;
    $$walk(value[name], depth + 1, room);
  }
}

function $$bytes(text) {
  let n = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 127) n += code > 2047 ? 2 : 1;
  }
  return n;
}

function $$shown(value) {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 40));
  if (typeof value === "number" || typeof value === "boolean" || value === null) return `${value}`;
  return Array.isArray(value) ? "an array" : `a value of type ${typeof value}`;
}
