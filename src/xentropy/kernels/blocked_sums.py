"""Blocks of rows, and the sums of their exponentials, in NumPy.

A block of numbers, many short rows or a piece of a long one, stays in the cache while one operation
after the other passes over it. In long float32 rows that overflow nowhere, the exponentials are
those of the logits themselves, and the maximum is taken off their sum: nothing is rounded before
`exp`, and the five operations for what a difference loses are saved. A constant added to all logits
may move the last digits there, within the bounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .by_row import Call, Numbers
from .of_sums import Sums, exp_difference, merge

__all__ = [
    "TINY",
    "Given",
    "Scratch",
    "are_direct",
    "blocks",
    "coefficients",
    "exponentials",
    "factors_of",
    "given_of",
    "groups",
    "load",
    "part_of",
    "pieces_of",
    "sums_of",
]

Array = npt.NDArray[Any]

BLOCK, MORE = 2**17, 2**19
"""Numbers of a block: in less, calls and the interpreter lock cost more than the cache saves.

More of float32, of which one array is held beside the logits; of others it is three, or wider.
"""
PART = 128
"""Numbers that are added up in their own precision."""
DIRECT = 256
"""Classes from which on `exp` is taken of the logits themselves, where float32 has room for it."""
TINY = float(np.finfo(np.float32).tiny)
LIMIT = 72.0
"""Up to here a sum of exponentials neither overflows nor, of the negative, vanishes."""


class Given(NamedTuple):
    """What a call is given, as in `rows`; distributions are labels of two dimensions."""

    x: Array
    labels: Array
    class_weight: Array
    weights: Array
    mask: Array
    numbers: Numbers


# --- blocks -----------------------------------------------------------------------------------


def _at_once(given: Given) -> tuple[int, int]:
    """The rows and columns of a block: some whole rows, or a piece of one; these about equal."""
    n, most = given.x.shape[1], MORE if given.x.itemsize == 4 else BLOCK
    return max(most // n, 1), -(-n // -(-n // most))


def groups(given: Given, start: int, stop: int) -> Iterator[slice]:
    """Some blocks of rows, for which it pays to compute what is one number a row."""
    rows, _ = _at_once(given)
    return _slices(start, stop, rows * max(min(8, 1024 // rows), 1))


def _slices(start: int, stop: int, step: int) -> Iterator[slice]:
    return (slice(i, min(i + step, stop)) for i in range(start, stop, step))


def blocks(given: Given, group: slice) -> Iterator[tuple[slice, slice]]:
    """The rows of each block, and where they are in the group."""
    for rows in _slices(group.start, group.stop, _at_once(given)[0]):
        yield rows, slice(rows.start - group.start, rows.stop - group.start)


def pieces_of(given: Given) -> list[slice]:
    """The columns of each block of a row."""
    return list(_slices(0, given.x.shape[1], _at_once(given)[1]))


class Scratch:
    """Arrays of one thread, allocated when first used."""

    def __init__(self, given: Given, rows: int, real: Any) -> None:
        most, columns = _at_once(given)
        self.size, self.real = min(rows, most) * columns, real
        self.arrays: dict[int, Array] = {}

    def __call__(self, i: int, like: Array) -> Array:
        """Array ``i`` in the shape of another."""
        if i not in self.arrays:
            self.arrays[i] = np.empty(self.size, self.real)
        return self.arrays[i][: like.size].reshape(like.shape)


def part_of(array: Array, rows: slice, cols: slice) -> Array:
    """Of an array of one row for each, or one for all."""
    return array[rows if array.shape[0] > 1 else slice(1), cols]


def load(given: Given, rows: slice, cols: slice, scratch: Scratch) -> Array:
    """A block of logits, widened and -inf where masked."""
    x = given.x[rows, cols]
    if x.dtype == scratch.real and not given.mask.size:
        return x
    v = scratch(4, x)
    if x.dtype == np.uint16:
        np.left_shift(x, 16, out=v.view(np.uint32), dtype=np.uint32)
    else:
        np.copyto(v, x.view(np.float16) if x.dtype == np.int16 else x)
    if given.mask.size:
        np.copyto(v, -np.inf, where=~part_of(given.mask, rows, cols))
    return v


def coefficients(given: Given, rows: slice, cols: slice, scratch: Scratch) -> Array:
    """What the labels of a block weigh: those after smoothing, times the class weights."""
    if given.labels.ndim == 1:
        return part_of(given.weights, rows, cols)
    t, keep = given.labels[rows, cols], scratch.real.type(1.0 - given.numbers.smoothing)
    b: Array = np.multiply(t, keep, out=scratch(3, t))
    if given.class_weight.size:
        b *= given.class_weight[cols]
    if given.weights.size:
        b += part_of(given.weights, rows, cols)
    return b


# --- exponentials and their sums --------------------------------------------------------------


def _add(*factors: Array) -> Array:
    """The sums of the rows of a product: of short parts in its dtype, of these in float64."""
    n = factors[0].shape[1]
    whole = n - n % PART
    parts = [each[:, :whole].reshape(each.shape[0], -1, PART) for each in factors]
    total = np.add.reduce(_dot(parts), axis=1, dtype=np.float64)
    if whole < n:
        total = total + _dot([each[:, whole:] for each in factors])
    return np.asarray(total)


def _dot(factors: list[Array]) -> Array:
    """Sums along the last axis, in a third of the time of `numpy.sum`."""
    return np.asarray(np.einsum(",".join(["...i"] * len(factors)) + "->...", *factors))


def are_direct(v: Array, top: Array) -> Array:
    """The rows whose ``exp(v)``, and the sum of it, have all their digits.

    What vanishes beside a maximum of 0 or more, would also do so with the maximum taken off. In
    float64 the factor ``exp(-top)`` would be rounded as well: up to 4.6 ulp.
    """
    if v.dtype == np.float64 or v.shape[1] < DIRECT:
        return np.zeros(v.shape[0], np.bool_)
    direct = (top >= 0) & (top <= LIMIT)
    if not direct.all():
        direct |= (top < 0) & (v.min(axis=1) >= -LIMIT)
    return np.asarray(direct)


def exponentials(v: Array, top: Array, direct: Array, scratch: Scratch) -> Array:
    """``exp(v)`` of the rows that are direct, ``exp(v - top)`` of the others."""
    if not direct.any():
        return exp_difference(v, top[:, None], *(scratch(i, v) for i in range(3)))
    e: Array = np.exp(v, out=scratch(0, v))
    if not direct.all():
        x = v[~direct]
        e[~direct] = exp_difference(x, top[~direct, None], *np.empty((3, *x.shape), x.dtype))
    return e


def factors_of(top: Array, direct: Array) -> Any:
    """What is to be multiplied with the exponentials of rows: ``exp(-top)`` of those direct."""
    return np.exp(np.where(direct, -top, 0.0))


def _piece(given: Given, rows: slice, cols: slice, scratch: Scratch, sums: Array) -> None:
    """Write the sums of a block as the rows of an array, in the order of `Sums`.

    One row more says which have still to be multiplied by `factors`.
    """
    v = load(given, rows, cols, scratch)
    peak = np.arange(v.shape[0]), v.argmax(axis=1)  # the first NaN, if any
    sums[0] = top = v[peak]
    # A piece of nothing but -inf has no exponentials.
    top = np.maximum(top, np.finfo(v.dtype).min)
    poly = given.numbers.epsilon != 0
    sums[5] = direct = are_direct(v, top) & (not poly)
    e = exponentials(v, top, direct, scratch)
    e[peak] = 0
    sums[1] = _add(e)
    if given.labels.ndim == 1 and not given.weights.size:
        return
    w = coefficients(given, rows, cols, scratch)
    d = np.subtract(top[:, None], v, out=scratch(1, v))
    sums[2] = _add(w, d)
    if np.isnan(sums[2]).any():
        # Also of 0 * inf.
        np.copyto(d, 0, where=w == 0)
        sums[2] = _add(w, d)
    sums[3] = _add(w)
    if poly:
        e[peak] = 1
        np.subtract(1, e, out=e)
        sums[4] = _add(w, e)


def sums_of(given: Given, group: slice, scale: Array, scratch: Scratch) -> Sums:
    """The sums of a group of rows; those that are left out say nothing."""
    pieces = pieces_of(given)
    found = np.zeros((6, group.stop - group.start, len(pieces)))
    for rows, here in blocks(given, group):
        if scale[here].any():
            for i, cols in enumerate(pieces):
                _piece(given, rows, cols, scratch, found[:, here, i])
    found[1] *= factors_of(found[0], found[5] != 0)
    sums = Sums(*found[:5, :, 0]) if len(pieces) == 1 else merge(Sums(*found[:5]))
    # NaN where the row has no softmax.
    return sums._replace(rest=sums.rest + (sums.top - sums.top))


def given_of(call: Call) -> Given:
    """The arguments of a call in two dimensions."""
    x = call.x.flat.reshape(-1, call.x.n)
    shares = call.shares
    if shares.size:
        shares = np.broadcast_to(shares, (shares.shape[0], call.x.n))
    labels = call.t.flat.reshape(-1, call.x.n) if call.t.flat.size else call.labels
    return Given(x, labels, call.class_weight, shares, call.mask, call.numbers)
