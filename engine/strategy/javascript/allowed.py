"""What a written strategy may use: JavaScript without doors to the outside, to time or to chance.

One list for the validator, which refuses, and the bundler, which guards what only shows at run
time. What is not named here is refused.
"""

from __future__ import annotations

TEXT_MAX = 256
"""Characters of one text; strategies count, they do not write."""

NAME_MAX = 80
"""Characters of one name."""

DEPTH_MAX = 200
"""Nodes of the syntax tree inside each other."""

NODES = frozenset(
    """
    program comment export_statement export_clause export_specifier
    import_statement import_clause named_imports import_specifier
    lexical_declaration variable_declaration variable_declarator
    function_declaration function_expression arrow_function formal_parameters
    statement_block expression_statement empty_statement if_statement else_clause
    for_statement for_in_statement while_statement do_statement
    switch_statement switch_body switch_case switch_default
    break_statement continue_statement labeled_statement statement_identifier
    return_statement throw_statement try_statement catch_clause finally_clause
    parenthesized_expression sequence_expression ternary_expression
    call_expression arguments new_expression member_expression subscript_expression optional_chain
    assignment_expression augmented_assignment_expression update_expression
    unary_expression binary_expression spread_element
    identifier property_identifier shorthand_property_identifier
    shorthand_property_identifier_pattern undefined null true false number
    string string_fragment escape_sequence template_string template_substitution
    object pair computed_property_name method_definition array
    object_pattern pair_pattern object_assignment_pattern array_pattern assignment_pattern
    rest_pattern
    """.split()
)
"""Kinds of named nodes a source may be made of."""

REFUSED_NODES = {
    "class": "class",
    "class_declaration": "class",
    "this": "this",
    "super": "class",
    "private_property_identifier": "class",
    "generator_function": "generator",
    "generator_function_declaration": "generator",
    "yield_expression": "generator",
    "await_expression": "async",
    "regex": "regex",
    "with_statement": "with",
    "debugger_statement": "debugger",
    "import": "import",
    "namespace_import": "import",
    "meta_property": "meta",
    "html_comment": "comment",
    "hash_bang_line": "comment",
    "using_declaration": "using",
    "decorator": "decorator",
}
"""Refused kinds of nodes, by the word under which `CONSTRUCTS` explains them."""

CONSTRUCTS = {
    "class": "classes are not part of a strategy: use functions and plain objects",
    "this": "`this` is not part of a strategy: pass values as arguments",
    "generator": "generators are not part of a strategy: use a loop",
    "async": "a strategy decides at once: nothing asynchronous",
    "regex": "regular expressions may never end: compare text directly",
    "with": "`with` hides where names come from: name the object",
    "debugger": "`debugger` has no place in a strategy: remove it",
    "import": 'only `import { ... } from "paddock"` is possible: nothing else is loaded',
    "meta": "`import.meta` and `new.target` lead out of the strategy: remove them",
    "comment": "comments are written // or /* */",
    "using": "`using` is not part of a strategy: use const",
    "decorator": "decorators are not part of a strategy: call the function",
    "accessor": "getters and setters hide what runs: write a function",
    "tag": "tagged templates hide a call: call the function",
    "bigint": "whole numbers without end are refused: use ordinary numbers",
    "rest": "`...rest` in a destructuring copies without limit: use slice",
    "computed_pattern": "a computed name in a destructuring hides what is read: name it",
    "new": "only the listed kinds can be made with `new`",
    "arrow": "put the arrow function in brackets: readers differ where it ends",
    "return": "only a function returns",
    "export": "export `meta` and `decide` by name, nothing else",
    "length": "a length is changed by what is put in or taken out, not by assignment",
}

GLOBALS = frozenset(
    """
    undefined NaN Infinity isNaN isFinite parseInt parseFloat
    Math Number Boolean String Array Object Map Set Error TypeError RangeError
    Float64Array Float32Array Int32Array Uint32Array Int16Array Uint16Array Int8Array Uint8Array
    """.split()
)
"""Names a strategy may use without declaring them."""

CONSTRUCTORS = frozenset(
    """
    Array Map Set Error TypeError RangeError
    Float64Array Float32Array Int32Array Uint32Array Int16Array Uint16Array Int8Array Uint8Array
    """.split()
)
"""What may follow `new`."""

_NETWORK = "the network is closed"
_TIMER = "nothing may wait or happen later"
_CLOCK = "the clock is the newest bar's `t`"
_CHANCE = "nothing may depend on chance"
_CODE = "code is never made from text"
_OUTSIDE = "it leads out of the strategy"
_OBJECT = "objects are plain values here"
_MEMORY = "memory is shared with nobody"
_LOCALE = "it depends on where it runs"

CLOSED_GLOBALS: dict[str, str] = {
    **dict.fromkeys(
        "fetch XMLHttpRequest WebSocket WebSocketPair EventSource Request Response Headers "
        "FormData URL URLSearchParams caches Cache CacheStorage navigator Worker importScripts "
        "BroadcastChannel MessageChannel MessagePort connect Socket RTCPeerConnection".split(),
        _NETWORK,
    ),
    **dict.fromkeys(
        "setTimeout setInterval setImmediate clearTimeout clearInterval clearImmediate "
        "queueMicrotask scheduler Promise AbortController AbortSignal requestAnimationFrame "
        "requestIdleCallback".split(),
        _TIMER,
    ),
    **dict.fromkeys("Date performance Temporal".split(), _CLOCK),
    **dict.fromkeys("crypto Crypto SubtleCrypto".split(), _CHANCE),
    **dict.fromkeys("eval Function GeneratorFunction AsyncFunction WebAssembly".split(), _CODE),
    **dict.fromkeys(
        "globalThis self window global process require module exports Buffer console document "
        "parent top frames location __filename __dirname Deno Bun".split(),
        _OUTSIDE,
    ),
    **dict.fromkeys("Proxy Reflect Symbol Iterator arguments".split(), _OBJECT),
    **dict.fromkeys("JSON structuredClone".split(), "copy a value with spread, as in {...state}"),
    **dict.fromkeys(
        "SharedArrayBuffer Atomics ArrayBuffer DataView WeakMap WeakSet WeakRef "
        "FinalizationRegistry".split(),
        _MEMORY,
    ),
    **dict.fromkeys("Intl".split(), _LOCALE),
    **dict.fromkeys("RegExp".split(), "regular expressions may never end"),
    **dict.fromkeys("BigInt BigInt64Array BigUint64Array".split(), "use ordinary numbers"),
}
"""Names known to exist somewhere that a strategy must not use, and why."""

_ESCAPE = "it leads out of the strategy"
_GROWS = "it can grow without limit"

CLOSED_NAMES: dict[str, str] = {
    **dict.fromkeys(
        "constructor __proto__ prototype __defineGetter__ __defineSetter__ __lookupGetter__ "
        "__lookupSetter__ caller callee arguments call apply bind buffer byteOffset stack "
        "captureStackTrace prepareStackTrace stackTraceLimit defineProperty defineProperties "
        "getOwnPropertyDescriptor getOwnPropertyDescriptors getPrototypeOf setPrototypeOf "
        "getOwnPropertyNames getOwnPropertySymbols create".split(),
        _ESCAPE,
    ),
    "random": _CHANCE,
    **dict.fromkeys("repeat padStart padEnd replace replaceAll".split(), _GROWS),
    **dict.fromkeys("flat flatMap concat".split(), "use spread, as in [...a, ...b]"),
    **dict.fromkeys("take drop toArray".split(), "walk over it with for ... of"),
    **dict.fromkeys(
        "union intersection difference symmetricDifference isSubsetOf isSupersetOf "
        "isDisjointFrom".split(),
        "compare sets in a loop",
    ),
    "join": "use a template, as in `${a} ${b}`",
    **dict.fromkeys("match matchAll search".split(), "it makes a regular expression"),
    **dict.fromkeys(
        "normalize localeCompare toLocaleString toLocaleUpperCase toLocaleLowerCase "
        "toLocaleDateString toLocaleTimeString".split(),
        _LOCALE,
    ),
}
"""Property names that are refused wherever they are read or written, and why."""

WALKING = frozenset(
    """
    map filter reduce reduceRight forEach some every find findIndex findLast findLastIndex
    indexOf lastIndexOf includes slice splice fill sort reverse toSorted toReversed toSpliced
    with copyWithin subarray unshift shift split
    """.split()
)
"""Methods that walk over all their object holds: called directly only, and paid for."""

TAKING = frozenset({"set", "add"})
"""Methods that put something into their object: paid for, the more so by a typed array."""

MUTATING = frozenset(
    "push pop shift unshift splice sort reverse fill copyWithin set add delete clear".split()
)
"""Methods that change their object."""
