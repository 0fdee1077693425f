"""Truth columns as 64-bit words: bit b of word w is bar 64 w + b."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from engine.strategy.compiled import compiled, kernel_step
from engine.types import BoolArray, WordArray

WORD_BITS = 64


def word_count(n_bars: int) -> int:
    """Return how many words hold `n_bars` bits."""
    return (n_bars + WORD_BITS - 1) // WORD_BITS


def pack(truth: BoolArray) -> WordArray:
    """Return the words of a truth column.

    Parameters
    ----------
    truth : ndarray of shape (n_bars,), bool

    Returns
    -------
    ndarray of shape (word_count(n_bars),), uint64; bits past the end are 0.
    """
    n_words = word_count(truth.shape[0])
    out = np.zeros(n_words * 8, dtype=np.uint8)
    packed = np.packbits(truth, bitorder="little")
    out[: packed.shape[0]] = packed
    return out.view("<u8").astype(np.uint64, copy=False)


def unpack(words: WordArray, n_bars: int) -> BoolArray:
    """Return the truth column of `n_bars` bars that `words` hold."""
    octets = np.ascontiguousarray(words, dtype="<u8").view(np.uint8)
    return np.unpackbits(octets, count=n_bars, bitorder="little").astype(np.bool_)


def _trailing_zeros(typing_context: Any, word: Any) -> Any:
    """Count the zero bits below the lowest set bit of a non-zero uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate


trailing_zeros_nb: Any = intrinsic(_trailing_zeros)


@kernel_step
def next_set_nb(words: WordArray, first: int, stop: int) -> int:
    """Return the first set bit at index first <= i < stop, `stop` when there is none."""
    if first >= stop:
        return stop
    w = first >> 6
    word = words[w] & (np.uint64(0xFFFFFFFFFFFFFFFF) << np.uint64(first & 63))
    last = (stop - 1) >> 6
    while word == 0:
        w += 1
        if w > last:
            return stop
        word = words[w]
    return min(stop, (w << 6) + int(trailing_zeros_nb(word)))


@compiled
def compare_nb(left: Any, right: Any, out: WordArray) -> None:
    """Write where `left` is above, below and equal to `right`.

    Parameters
    ----------
    left, right : ndarray of shape (n_bars,), float64; NaN makes every comparison false
    out : ndarray of shape (3, word_count(n_bars)), uint64, overwritten: above, below, equal
    """
    n_bars = left.shape[0]
    n_whole = n_bars // 64
    for w in range(n_whole):
        first = w * 64
        one = np.uint64(0)
        two = np.uint64(0)
        three = np.uint64(0)
        # Loops of exactly one word, one comparison each: the compiler turns them into masks.
        for k in range(64):
            one |= np.uint64(left[first + k] > right[first + k]) << np.uint64(k)
        for k in range(64):
            two |= np.uint64(left[first + k] < right[first + k]) << np.uint64(k)
        for k in range(64):
            three |= np.uint64(left[first + k] == right[first + k]) << np.uint64(k)
        out[0, w] = one
        out[1, w] = two
        out[2, w] = three
    if n_whole < out.shape[1]:
        out[0, n_whole] = out[1, n_whole] = out[2, n_whole] = np.uint64(0)
        for t in range(n_whole * 64, n_bars):
            bit = np.uint64(t - n_whole * 64)
            out[0, n_whole] |= np.uint64(left[t] > right[t]) << bit
            out[1, n_whole] |= np.uint64(left[t] < right[t]) << bit
            out[2, n_whole] |= np.uint64(left[t] == right[t]) << bit


@compiled
def cross_nb(now: WordArray, before: WordArray, equal: WordArray, out: WordArray) -> None:
    """Write where `now` holds and, one bar before, `before` or `equal` did.

    With above, below and equal of two columns: `cross_nb(above, below, equal)` is crosses above,
    `cross_nb(below, above, equal)` crosses below.
    """
    carry = np.uint64(0)
    for w in range(out.shape[0]):
        against = before[w] | equal[w]
        out[w] = now[w] & ((against << np.uint64(1)) | carry)
        carry = against >> np.uint64(63)


@compiled
def moves_nb(values: Any, bars: int, is_rising: bool, out: WordArray) -> None:
    """Write where `values` is above (or below) itself `bars` bars before."""
    n_bars = values.shape[0]
    for w in range(out.shape[0]):
        first = w * 64
        word = np.uint64(0)
        for k in range(max(0, bars - first), min(64, n_bars - first)):
            now = values[first + k]
            before = values[first + k - bars]
            word |= np.uint64(now > before if is_rising else now < before) << np.uint64(k)
        out[w] = word


@compiled
def at_least_nb(rows: WordArray, picked: Any, needed: int, out: WordArray) -> None:
    """Write to `out` the bits where at least `needed` of the picked rows are set.

    Counts are kept bit-sliced in four planes, so up to 15 rows are counted 64 bars at a time.
    """
    full = np.uint64(0xFFFFFFFFFFFFFFFF)
    n_rows = picked.shape[0]
    for w in range(out.shape[0]):
        if n_rows == needed:
            word = full
            for i in range(n_rows):
                word &= rows[picked[i], w]
            out[w] = word
            continue
        plane0 = np.uint64(0)
        plane1 = np.uint64(0)
        plane2 = np.uint64(0)
        plane3 = np.uint64(0)
        for i in range(n_rows):
            carry = rows[picked[i], w]
            spill = plane0 & carry
            plane0 ^= carry
            carry = spill
            spill = plane1 & carry
            plane1 ^= carry
            carry = spill
            spill = plane2 & carry
            plane2 ^= carry
            plane3 ^= spill
        greater = np.uint64(0)
        equal = full
        for bit in range(3, -1, -1):
            plane = plane3 if bit == 3 else plane2 if bit == 2 else plane1 if bit == 1 else plane0
            if (needed >> bit) & 1:
                equal &= plane
            else:
                greater |= equal & plane
                equal &= ~plane
        out[w] = greater | equal


@compiled
def decide_nb(
    rows: WordArray, groups: Any, picked: Any, needed_long: int, needed_short: int, out: WordArray
) -> None:
    """Write long entry, short entry, long exit and short exit to the four rows of `out`.

    Parameters
    ----------
    rows : ndarray of shape (n_conditions, n_words), uint64
    groups : ndarray of shape (6,), int64: where long entry, short entry, filters, long exit and
        short exit begin in
        `picked`, and its end
    picked : ndarray of row indices, read as far as the last group reaches
    """
    for side in range(2):
        first, stop = groups[side], groups[side + 1]
        if first == stop:
            out[side, :] = np.uint64(0)
            continue
        at_least_nb(rows, picked[first:stop], needed_long if side == 0 else needed_short, out[side])
        for i in range(groups[2], groups[3]):
            for w in range(out.shape[1]):
                out[side, w] &= rows[picked[i], w]
    for w in range(out.shape[1]):
        conflict = out[0, w] & out[1, w]
        out[0, w] &= ~conflict
        out[1, w] &= ~conflict
    for side in range(2):
        out[2 + side, :] = np.uint64(0)
        for i in range(groups[3 + side], groups[4 + side]):
            for w in range(out.shape[1]):
                out[2 + side, w] |= rows[picked[i], w]


@compiled
def decide_each_nb(rows: WordArray, groups: Any, picked: Any, needed: Any, out: WordArray) -> None:
    """Do what `decide_nb` does for several strategies; every array has a first axis for them."""
    for i in range(out.shape[0]):
        decide_nb(rows, groups[i], picked[i], needed[i, 0], needed[i, 1], out[i])
