// What foreign code runs under: fuel for everything that repeats or grows, and closed doors.
//
// The bundler writes calls of these into the strategy: a step at the head of every loop and
// function, `$$key` around computed names, `$$text` around what may join strings, `$$meter` around
// what a built-in function walks over. A strategy cannot name them: `$$` is reserved.

const $$TEXT_MAX = 256;
const $$ERROR_UNITS = 100;
const $$ENTRY_UNITS = 3;
const $$beat = new Float64Array(2); // bar, and the place in the source last passed
let $$fuel = 0;
let $$isSpent = false;

/** Give the next call its fuel. */
function $$refuel(fuel) {
  $$fuel = fuel;
  $$isSpent = false;
}

function $$out() {
  $$fuel = -1;
  $$isSpent = true;
  throw new RangeError("out of fuel: the strategy does more than one bar allows");
}

/** Take a step at a place in the source. */
function $$step(place, units) {
  $$beat[1] = place;
  if (($$fuel -= units) < 0) $$out();
}

function $$charge(amount) {
  $$fuel -= amount;
  if (!($$fuel >= 0)) $$out();
}

const $$ITERATORS = new Set(
  [[].values(), new Map().values(), new Set().values(), ""[Symbol.iterator]()].map(
    Object.getPrototypeOf,
  ),
);
const $$CLOSED_NAMES = new Set($$CLOSED);

/** Return a computed property name unless it leads out of the strategy. */
function $$key(key) {
  return typeof key === "number" ? key : $$name(key);
}

function $$name(key) {
  const name = $$text(typeof key === "string" ? key : String(key));
  if ($$CLOSED_NAMES.has(name)) throw new TypeError(`the property ${name} is closed`);
  return name;
}

/** Return a computed name that is written to; a length is not assigned. */
function $$slot(key) {
  const name = $$key(key);
  if (name === "length") throw new TypeError("a length is not assigned");
  return name;
}

/** Return a value; when it is text, its length is paid for and bounded. */
function $$text(value) {
  if (typeof value !== "string") return value;
  if (value.length > $$TEXT_MAX) throw new RangeError(`text of more than ${$$TEXT_MAX} characters`);
  return value;
}

/** Return a value whose elements are about to be walked over, paying for each. */
function $$meter(value) {
  if (typeof value === "string") $$charge(value.length);
  if (typeof value !== "object" || value === null) return value;
  if ($$ITERATORS.has(Object.getPrototypeOf(value))) return $$listed(value);
  $$charge($$sizeOf(value));
  return value;
}

// How much an iterator gives shows only when it is asked.
function $$listed(iterator) {
  const values = [];
  for (const value of iterator) {
    $$charge(1);
    values.push(value);
  }
  return values;
}

/** Return a value that something is put into: a typed array whole, a Map or Set one more thing. */
function $$taking(value) {
  if (ArrayBuffer.isView(value)) return $$meter(value);
  $$charge($$ENTRY_UNITS);
  return value;
}

function $$sizeOf(value) {
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return value.length;
  if (value instanceof Map || value instanceof Set) return value.size;
  return Object.keys(value).length;
}

// What a constructor makes is as large as its first argument says.
function $$room(source) {
  if (typeof source === "number") {
    if (source > 0) $$charge(source);
    return source;
  }
  const length = source?.length;
  if (length !== undefined && typeof length !== "number") {
    throw new TypeError("a length must be a number");
  }
  if (length > 0) $$charge(length);
  return $$meter(source);
}

/** Return a read of `holder[key]`; past the end of a column there is nothing to see yet. */
function $$read(holder, key, place) {
  const name = $$key(key);
  if (ArrayBuffer.isView(holder) && typeof name === "number" && name >= holder.length) {
    $$beat[1] = place;
    const error = new RangeError(`index ${name} is past the newest bar, ${holder.length - 1}`);
    error.paddock = "look_ahead.index";
    throw error;
  }
  return holder[name];
}

/** Return a value that a function gives back, noting where. */
function $$gave(value, place) {
  $$beat[1] = place;
  return value;
}

const $$Math = {};
for (const name of $$names(`E LN10 LN2 LOG10E LOG2E PI SQRT1_2 SQRT2 abs acos acosh asin asinh atan
  atan2 atanh cbrt ceil clz32 cos cosh exp expm1 floor fround hypot imul log log10 log1p log2 max min
  pow round sign sin sinh sqrt tan tanh trunc`)) {
  $$Math[name] = Math[name];
}

function $$names(text) {
  return text.split(/\s+/);
}

const $$Object = {
  keys: (value) => Object.keys($$meter(value)),
  values: (value) => Object.values($$meter(value)),
  entries: (value) => Object.entries($$meter(value)),
  assign: (target, ...sources) => {
    if (Array.isArray(target)) throw new TypeError("a list takes its values by push");
    return Object.assign(target, ...sources.map($$meter));
  },
  fromEntries: (entries) => Object.fromEntries($$meter(entries)),
  freeze: (value) => Object.freeze($$meter(value)),
  hasOwn: (value, key) => Object.hasOwn(value, $$key(key)),
  is: (one, other) => Object.is(one, other),
};

function $$Array(...items) {
  if (items.length !== 1 || typeof items[0] !== "number") return items;
  return new Array($$room(items[0]));
}
$$Array.prototype = Array.prototype;
$$Array.isArray = (value) => Array.isArray(value);
$$Array.of = (...items) => items;
$$Array.from = (source, each) => {
  const paid = $$room(source);
  return each === undefined ? Array.from(paid) : Array.from(paid, (value, i) => each(value, i));
};

function $$String(value) {
  return $$text(String(value));
}
$$String.fromCharCode = (...codes) => $$text(String.fromCharCode(...codes));

/** Return a constructor that pays for what it makes. */
function $$paid(Kind) {
  const make = (source) => (source === undefined ? new Kind() : new Kind($$room(source)));
  // An arrow function cannot be called with `new`.
  const kind = function (source) {
    return make(source);
  };
  kind.prototype = Kind.prototype;
  if (Kind.BYTES_PER_ELEMENT !== undefined) {
    kind.from = (source, each) => Kind.from($$Array.from(source, each));
    kind.of = (...items) => Kind.from(items);
  }
  return kind;
}

// An error remembers the calls that led to it, which takes far longer than a step.
function $$failing(Kind) {
  const kind = function (message) {
    $$charge($$ERROR_UNITS);
    return new Kind(message);
  };
  kind.prototype = Kind.prototype;
  return kind;
}

const $$OPEN = {
  Error: $$failing(Error),
  TypeError: $$failing(TypeError),
  RangeError: $$failing(RangeError),
  Math: $$Math,
  Object: $$Object,
  Array: $$Array,
  String: $$String,
  Map: $$paid(Map),
  Set: $$paid(Set),
  Float64Array: $$paid(Float64Array),
  Float32Array: $$paid(Float32Array),
  Int32Array: $$paid(Int32Array),
  Uint32Array: $$paid(Uint32Array),
  Int16Array: $$paid(Int16Array),
  Uint16Array: $$paid(Uint16Array),
  Int8Array: $$paid(Int8Array),
  Uint8Array: $$paid(Uint8Array),
};

// What of the language's own values a strategy may call; newer names are not known to be harmless.
const $$LISTS = $$names(`at copyWithin entries every fill filter find findIndex findLast
  findLastIndex forEach includes indexOf keys lastIndexOf length map reduce reduceRight reverse slice
  some sort toReversed toSorted toString values with`);
const $$KEPT = [
  [Array, [...$$LISTS, ...$$names("pop push shift splice toSpliced unshift")]],
  [$$columnKind(), [...$$LISTS, ...$$names("buffer byteLength byteOffset set subarray")]],
  [Map, $$names("clear delete entries forEach get has keys set size values")],
  [Set, $$names("add clear delete entries forEach has keys size values")],
  [
    String,
    $$names(`at charAt charCodeAt codePointAt endsWith includes indexOf lastIndexOf length slice
      split startsWith substring toLowerCase toString toUpperCase trim trimEnd trimStart valueOf`),
  ],
  [Number, $$names("toExponential toFixed toPrecision toString valueOf")],
  [Iterator, []],
];

function $$columnKind() {
  return Object.getPrototypeOf(Float64Array);
}

function $$prune({ prototype }, names) {
  const kept = new Set(["constructor", ...names]);
  for (const name of Reflect.ownKeys(prototype)) {
    if (typeof name === "string" && !kept.has(name)) Reflect.deleteProperty(prototype, name);
  }
}

/** Close the language's own values: what is not kept is gone, what is kept cannot be changed. */
function $$harden() {
  for (const [kind, names] of $$KEPT) $$prune(kind, names);
  const { apply } = Reflect;
  const written = Number.prototype.toString;
  // A list's text joins those of its elements, which may be lists again, without end; a function's
  // carries code, an error's grows with its name; numbers in other bases take V8 very long.
  const ofList = () => $$refuse("a list has no text: name what you want of it");
  const ofNumber = (number, radix) => {
    if (radix !== undefined) $$refuse("numbers are written in tens");
    return apply(written, number, []);
  };
  const texts = [
    [Array, ofList],
    [$$columnKind(), ofList],
    [Function, () => "function"],
    [Error, () => "error"],
    [Number, ofNumber],
  ];
  for (const [kind, write] of texts) {
    const value = {
      toString(radix) {
        return write(this, radix);
      },
    }.toString;
    Object.defineProperty(kind.prototype, "toString", { value });
  }
  const kinds = [Object, Function, Boolean, Error, TypeError, RangeError, RegExp];
  const columns = [Float64Array, Float32Array, Int32Array, Uint32Array, Int16Array, Uint16Array];
  const known = [...kinds, ...columns, Int8Array, Uint8Array, ...$$KEPT.map(([kind]) => kind)];
  for (const kind of known) {
    Object.freeze(kind.prototype);
    Object.freeze(kind);
  }
  for (const value of [Math, JSON, ...$$ITERATORS, ...Object.values($$OPEN)]) Object.freeze(value);
}

function $$refuse(message) {
  throw new TypeError(message);
}
