// The Worker around a strategy: who may ask, what may be asked, and what it tells of itself.
//
// GET /health, POST /signal {bars, state}, GET /metrics; every question carries the token, which the
// Worker is given as the binding TOKEN and never has in its text.

const $$BODY_MAX = 1048576;
const $$COLUMN_NAMES = ["t", "open", "high", "low", "close", "volume"];
const $$INTENT_NAMES = ["hold", "long", "short", "flat"];
const $$LEAVE_NAMES = [null, "long", "short", "both"];
const $$counts = { signals: 0, errors: 0, refused: 0, fuel: 0, fuelMost: 0 };
const $$began = $$begin();

class $$Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Read the strategy once; one that cannot be read answers every question with why. */
function $$begin() {
  $$harden();
  $$refuel($$FUEL);
  try {
    const { meta, decide } = $$strategy();
    if ($$isSpent) $$out();
    return { meta: JSON.parse($$jsonText(meta, "meta")), decide };
  } catch (error) {
    return { error: `${error}` };
  }
}

/** Return what the strategy wants, or throw a refusal. */
function $$signal({ bars, state }) {
  const { meta, decide, error } = $$began;
  if (error !== undefined) throw new $$Refusal(500, "load", error);
  const columns = $$readBars(bars, meta.lookback);
  const stateText = $$readState(state);
  $$refuel($$FUEL);
  let found;
  try {
    const answer = decide(columns, stateText === "null" ? null : JSON.parse(stateText));
    if ($$isSpent) $$out();
    found = $$checked(answer);
  } catch (thrown) {
    const code = $$isSpent ? "fuel" : (thrown?.paddock ?? "throw");
    throw new $$Refusal(500, `${code}`, `${thrown?.message ?? $$shown(thrown)}`.slice(0, 300));
  }
  $$counts.fuel = $$FUEL - $$fuel;
  $$counts.fuelMost = Math.max($$counts.fuelMost, $$counts.fuel);
  const told = { intent: $$INTENT_NAMES[found.intent], leave: $$LEAVE_NAMES[found.leave] };
  for (const name of ["stop", "target", "trailing", "max_bars", "size", "confidence"]) {
    told[name] = Number.isNaN(found[name]) ? null : found[name];
  }
  // The state is text already: it is put in as it is.
  const text = JSON.stringify({ ...told, version: $$VERSION, bundle: $$BUNDLE });
  return `${text.slice(0, -1)},"state":${found.state}}`;
}

function $$readBars(bars, lookback) {
  if (bars === null || typeof bars !== "object" || Array.isArray(bars)) {
    throw new $$Refusal(400, "bars", "bars must be an object of six columns");
  }
  const columns = {};
  const size = Array.isArray(bars.t) ? bars.t.length : 0;
  if (size < 1 || size > lookback) {
    throw new $$Refusal(400, "bars", `bars must hold 1 to ${lookback} bars, not ${size}`);
  }
  for (const name of $$COLUMN_NAMES) {
    const values = bars[name];
    if (!Array.isArray(values) || values.length !== size) {
      throw new $$Refusal(400, "bars", `bars.${name} must be a list as long as bars.t`);
    }
    const least = name === "volume" || name === "t" ? 0 : Number.MIN_VALUE;
    for (let i = 0; i < size; i++) {
      if (typeof values[i] !== "number" || !(values[i] >= least && values[i] < Infinity)) {
        throw new $$Refusal(400, "bars", `bars.${name}[${i}] is no number from ${least} up`);
      }
      if (name === "t" && i > 0 && values[i] <= values[i - 1]) {
        throw new $$Refusal(400, "bars", `bars.t[${i}] does not come after the one before it`);
      }
    }
    columns[name] = Object.preventExtensions(Float64Array.from(values));
  }
  return Object.freeze(columns);
}

function $$readState(state) {
  try {
    return $$jsonText(state ?? null, "state");
  } catch (error) {
    throw new $$Refusal(400, "state", error.message);
  }
}

async function $$readBody(request) {
  const tooLong = () => new $$Refusal(413, "body", `more than ${$$BODY_MAX} bytes`);
  if (Number(request.headers.get("content-length") ?? 0) > $$BODY_MAX) throw tooLong();
  const text = await request.text();
  if (text.length > $$BODY_MAX) throw tooLong();
  let body;
  try {
    body = JSON.parse(text);
  } catch {
    throw new $$Refusal(400, "body", "the body is no JSON");
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw new $$Refusal(400, "body", "the body must be an object {bars, state}");
  }
  return body;
}

// As long for a wrong token as for the right one, whatever they share.
function $$isSame(one, other) {
  let differs = one.length ^ other.length;
  for (let i = 0; i < one.length; i++) differs |= one.charCodeAt(i) ^ other.charCodeAt(i % other.length);
  return differs === 0;
}

function $$checkToken(request, env) {
  const token = env?.TOKEN;
  if (typeof token !== "string" || token.length < 16) {
    throw new $$Refusal(503, "token", "this Worker was given no token: it answers nobody");
  }
  const given = request.headers.get("authorization") ?? "";
  if (!$$isSame(`Bearer ${token}`, given.length > 0 ? given : " ")) {
    throw new $$Refusal(401, "token", "a question needs the header authorization: Bearer TOKEN");
  }
}

async function $$answer(request, env) {
  $$checkToken(request, env);
  const { pathname } = new URL(request.url);
  const asked = `${request.method} ${pathname}`;
  if (asked === "POST /signal") {
    $$counts.signals += 1;
    return $$json(200, $$signal(await $$readBody(request)));
  }
  if (asked === "GET /health") {
    const { meta, error } = $$began;
    const status = error === undefined ? "ok" : "broken";
    const told = { status, name: meta?.name ?? null, error: error ?? null };
    return $$json(200, JSON.stringify({ ...told, version: $$VERSION, bundle: $$BUNDLE }));
  }
  if (asked === "GET /metrics") return new Response($$metrics(), { headers: $$PLAIN });
  throw new $$Refusal(404, "path", "ask GET /health, POST /signal or GET /metrics");
}

const $$PLAIN = { "content-type": "text/plain; version=0.0.4" };

function $$metrics() {
  const labels = `{version="${$$VERSION}"}`;
  const rows = [
    ["signals_total", "counter", $$counts.signals],
    ["errors_total", "counter", $$counts.errors],
    ["refused_total", "counter", $$counts.refused],
    ["fuel_last", "gauge", $$counts.fuel],
    ["fuel_most", "gauge", $$counts.fuelMost],
  ];
  let text = "";
  for (const [name, kind, value] of rows) {
    text += `# TYPE paddock_worker_${name} ${kind}\npaddock_worker_${name}${labels} ${value}\n`;
  }
  return text;
}

function $$json(status, text) {
  return new Response(text, { status, headers: { "content-type": "application/json" } });
}

export default {
  async fetch(request, env) {
    try {
      return await $$answer(request, env);
    } catch (error) {
      const status = error instanceof $$Refusal ? error.status : 500;
      if (status >= 500) $$counts.errors += 1;
      else $$counts.refused += 1;
      const told = { code: error?.code ?? "worker", message: `${error?.message}` };
      const text = { error: told, version: $$VERSION, bundle: $$BUNDLE };
      return $$json(status, JSON.stringify(text));
    }
  },

  /** Woken by a timer: stay ready for the next question; a strategy that cannot be read is told. */
  async scheduled() {
    if ($$began.error !== undefined) throw new Error($$began.error);
  },
};
