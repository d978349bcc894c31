"""The `Engine` in NumPy, for where Numba is not installed.

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
from .memory import narrowed
from .small import plain_losses
from .threads import run

__all__ = [
    "BY_STRIDES",
    "KINDS",
    "gradients",
    "is_uniform",
    "lend",
    "losses",
    "multiply",
    "plain_losses",
    "total",
]

Array = npt.NDArray[Any]

KINDS = frozenset(("index", "dense"))
BY_STRIDES = False
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


class _Given(NamedTuple):
    """What a call is given, as in `rows`; distributions are labels of two dimensions."""

    x: Array
    labels: Array
    class_weight: Array
    weights: Array
    mask: Array
    numbers: Numbers


class _Sums(NamedTuple):
    """The sums of some rows, each in float64; ``exp(x - top)`` is 1 at each maximum."""

    top: Any
    rest: Any  # of exp(x - top), without one maximum
    spread: Any  # of w (top - x)
    mass: Any  # of w
    gap: Any  # of w (1 - exp(x - top))


# --- blocks -----------------------------------------------------------------------------------


def _at_once(given: _Given) -> tuple[int, int]:
    """The rows and columns of a block: some whole rows, or a piece of one; these about equal."""
    n, most = given.x.shape[1], MORE if given.x.itemsize == 4 else BLOCK
    return max(most // n, 1), -(-n // -(-n // most))


def _groups(given: _Given, start: int, stop: int) -> Iterator[slice]:
    """Some blocks of rows, for which it pays to compute what is one number a row."""
    rows, _ = _at_once(given)
    return _slices(start, stop, rows * max(min(8, 1024 // rows), 1))


def _slices(start: int, stop: int, step: int) -> Iterator[slice]:
    return (slice(i, min(i + step, stop)) for i in range(start, stop, step))


def _blocks(given: _Given, group: slice) -> Iterator[tuple[slice, slice]]:
    """The rows of each block, and where they are in the group."""
    for rows in _slices(group.start, group.stop, _at_once(given)[0]):
        yield rows, slice(rows.start - group.start, rows.stop - group.start)


def _pieces(given: _Given) -> list[slice]:
    return list(_slices(0, given.x.shape[1], _at_once(given)[1]))


class _Scratch:
    """Arrays of one thread, allocated when first used."""

    def __init__(self, given: _Given, rows: int, real: Any) -> None:
        most, columns = _at_once(given)
        self.size, self.real = min(rows, most) * columns, real
        self.arrays: dict[int, Array] = {}

    def __call__(self, i: int, like: Array) -> Array:
        """Array ``i`` in the shape of another."""
        if i not in self.arrays:
            self.arrays[i] = np.empty(self.size, self.real)
        return self.arrays[i][: like.size].reshape(like.shape)


def _part(array: Array, rows: slice, cols: slice) -> Array:
    """Of an array of one row for each, or one for all."""
    return array[rows if array.shape[0] > 1 else slice(1), cols]


def _load(given: _Given, rows: slice, cols: slice, scratch: _Scratch) -> Array:
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
        np.copyto(v, -np.inf, where=~_part(given.mask, rows, cols))
    return v


def _coefficients(given: _Given, rows: slice, cols: slice, scratch: _Scratch) -> Array:
    """What the labels of a block weigh: those after smoothing, times the class weights."""
    if given.labels.ndim == 1:
        return _part(given.weights, rows, cols)
    t, keep = given.labels[rows, cols], scratch.real.type(1.0 - given.numbers.smoothing)
    b: Array = np.multiply(t, keep, out=scratch(3, t))
    if given.class_weight.size:
        b *= given.class_weight[cols]
    if given.weights.size:
        b += _part(given.weights, rows, cols)
    return b


# --- exponentials and their sums --------------------------------------------------------------


def _exp_difference(x: Array, top: Array, z: Array, back: Array, lost: Array) -> Array:
    """``exp(x - top)``, what the rounding of the difference lost put back (see `formulas`)."""
    np.subtract(x, top, out=z)
    np.subtract(z, x, out=back)
    np.subtract(z, back, out=lost)
    np.subtract(x, lost, out=lost)
    back += top
    lost -= back
    np.exp(z, out=z)
    lost += 1
    np.fmin(lost, 2, out=lost)  # NaN where the difference is infinite
    z *= lost
    return z


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


def _are_direct(v: Array, top: Array) -> Array:
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


def _exponentials(v: Array, top: Array, direct: Array, scratch: _Scratch) -> Array:
    """``exp(v)`` of the rows that are direct, ``exp(v - top)`` of the others."""
    if not direct.any():
        return _exp_difference(v, top[:, None], *(scratch(i, v) for i in range(3)))
    e: Array = np.exp(v, out=scratch(0, v))
    if not direct.all():
        x = v[~direct]
        e[~direct] = _exp_difference(x, top[~direct, None], *np.empty((3, *x.shape), x.dtype))
    return e


def _factors(top: Array, direct: Array) -> Any:
    """What is to be multiplied with the exponentials of rows: ``exp(-top)`` of those direct."""
    return np.exp(np.where(direct, -top, 0.0))


def _piece(given: _Given, rows: slice, cols: slice, scratch: _Scratch, sums: Array) -> None:
    """Write the sums of a block as the rows of an array, in the order of `_Sums`.

    One row more says which have still to be multiplied by `_factors`.
    """
    v = _load(given, rows, cols, scratch)
    peak = np.arange(v.shape[0]), v.argmax(axis=1)  # the first NaN, if any
    sums[0] = top = v[peak]
    # A piece of nothing but -inf has no exponentials.
    top = np.maximum(top, np.finfo(v.dtype).min)
    poly = given.numbers.epsilon != 0
    sums[5] = direct = _are_direct(v, top) & (not poly)
    e = _exponentials(v, top, direct, scratch)
    e[peak] = 0
    sums[1] = _add(e)
    if given.labels.ndim == 1 and not given.weights.size:
        return
    w = _coefficients(given, rows, cols, scratch)
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


def _merge(parts: _Sums) -> _Sums:
    """The sums of rows from those of their pieces, all counted from the largest maximum."""
    top, rest, spread, mass, gap = parts
    peak = np.arange(top.shape[0]), top.argmax(axis=1)
    most = top[peak][:, None]
    drop = most - top
    spare = [np.empty_like(top) for _ in range(3)]
    f = _exp_difference(top, most, *spare)
    f[peak] = 1
    rest = rest * f
    f[peak] = 0
    rest += f
    f[peak] = 1
    spread = spread + np.where(mass == 0, 0.0, drop * mass)
    gap = f * gap - np.where(mass == 0, 0.0, mass * np.expm1(-drop))
    return _Sums(most[:, 0], *(each.sum(axis=1) for each in (rest, spread, mass, gap)))


def _sums(given: _Given, group: slice, scale: Array, scratch: _Scratch) -> _Sums:
    pieces = _pieces(given)
    found = np.zeros((6, group.stop - group.start, len(pieces)))
    for rows, here in _blocks(given, group):
        if scale[here].any():
            for i, cols in enumerate(pieces):
                _piece(given, rows, cols, scratch, found[:, here, i])
    found[1] *= _factors(found[0], found[5] != 0)
    sums = _Sums(*found[:5, :, 0]) if len(pieces) == 1 else _merge(_Sums(*found[:5]))
    # NaN where the row has no softmax.
    return sums._replace(rest=sums.rest + (sums.top - sums.top))


def _miss(sums: _Sums, total: Array) -> Any:
    """The sum of ``w (1 - p)``."""
    return (sums.gap + sums.rest * sums.mass) / total


# --- index labels -----------------------------------------------------------------------------


class _Label(NamedTuple):
    """What a row has at its label."""

    y: Array
    valid: Array
    x: Array
    weight: Array | float
    share: Array | float  # that smoothing gives it


def _label(given: _Given, rows: slice, real: Any) -> _Label:
    n = given.x.shape[1]
    y = given.labels[rows]
    valid = (y >= 0) & (y < n)
    y = np.where(valid, y, 0)
    r = np.arange(rows.start, rows.stop)
    chosen = given._replace(x=given.x[r, y][:, None], mask=given.mask[:, :0])
    x_y = _load(chosen, slice(None), slice(None), _Scratch(chosen, y.size, real))[:, 0]
    if given.mask.size:
        kept = given.mask[r % given.mask.shape[0], y]
        x_y = np.where(kept, x_y, -np.inf)
    weight = given.class_weight[y].astype(np.float64) if given.class_weight.size else 1.0
    share = 0.0
    if given.weights.size:
        share = given.weights[r % given.weights.shape[0], y].astype(np.float64)
    return _Label(y, valid, np.where(valid, np.float64(x_y), np.nan), weight, share)


def _index_loss(given: _Given, sums: _Sums, rows: slice, real: Any) -> tuple[Array, Array]:
    """The losses of rows, and ``top, a, c, own`` of their gradients (see `rows`)."""
    label, numbers = _label(given, rows, real), given.numbers
    total, log_rest = 1.0 + sums.rest, np.log1p(sums.rest)
    drop = sums.top - label.x
    e_y = np.exp(-drop)
    p, q = e_y / total, ((1.0 - e_y) + sums.rest) / total
    surprise, lse = log_rest + drop, sums.top + log_rest
    if numbers.gamma >= 0:
        power = q**numbers.gamma
        cost = np.where(power == 0, 0.0, power * surprise)
        ratio = np.where(p == 0, 0.0, p * surprise) / q
        slope = power * (1.0 + numbers.gamma * np.where(q == 0, 1.0, ratio))
    else:
        cost, slope = surprise + numbers.epsilon * q, 1.0 + numbers.epsilon * p
    keep = (1.0 - numbers.smoothing) * label.weight
    loss = np.where(keep == 0, sums.rest - sums.rest, keep * cost)
    if numbers.z_loss:
        loss = loss + numbers.z_loss * (lse * lse)
    miss, mass = _miss(sums, total), sums.mass
    smoothed = mass * log_rest + sums.spread + numbers.epsilon * miss
    loss = loss + np.where(mass == 0, 0.0, smoothed)
    others = 2.0 * numbers.z_loss * lse + (mass + numbers.epsilon * (mass - miss))
    slopes = np.empty((4, loss.size))
    slopes[0] = sums.top
    slopes[1] = (others + keep * slope) / total
    slopes[2] = numbers.epsilon / total
    slopes[3] = p * others - (keep * slope) * q - label.share * (1.0 + numbers.epsilon * p)
    wrong = np.isnan(sums.rest) | np.isnan(label.x)
    slopes[:, wrong] = np.nan
    return np.where(wrong, np.nan, loss), slopes


def _index_gradient(
    given: _Given, rows: slice, slopes: Array, scale: Array, scratch: _Scratch, out: Array
) -> None:
    real = scratch.real
    top, a, c, own = slopes
    a = scale * a
    for cols in _pieces(given):
        v = _load(given, rows, cols, scratch)
        size = np.abs(a * np.exp(-top))
        direct = _are_direct(v, top) & (size >= TINY) & (size <= 1.0 / TINY)
        e, f = _exponentials(v, top.astype(real), direct, scratch), _factors(top, direct)
        g = out[rows, cols] if out.dtype == real else scratch(1, v)
        np.multiply(e, (a * f).astype(real)[:, None], out=g)
        if given.weights.size:
            w = _part(given.weights, rows, cols) * scale.astype(real)[:, None]
            e *= (c * f).astype(real)[:, None]
            e *= w
            e += w
            g -= e
        _finish(given, g, rows, cols, scale, out)
    y = given.labels[rows]
    valid = (y >= 0) & (y < given.x.shape[1]) & (scale != 0)
    r, y = np.flatnonzero(valid), y[valid]
    if given.mask.size:
        kept = given.mask[(rows.start + r) % given.mask.shape[0], y]
        r, y = r[kept], y[kept]
    out[rows.start + r, y] = narrowed((scale[r] * own[r]).astype(real), out.dtype)


def _finish(given: _Given, g: Array, rows: slice, cols: slice, scale: Array, out: Array) -> None:
    """Write the gradients of a block: 0 for classes and rows left out."""
    if given.mask.size:
        np.copyto(g, 0, where=~_part(given.mask, rows, cols))
    if not scale.all():
        g[scale == 0] = 0
    if g.dtype != out.dtype:
        out[rows, cols] = narrowed(g, out.dtype)


# --- distributions ----------------------------------------------------------------------------


def _dense_loss(given: _Given, sums: _Sums, rows: slice, real: Any) -> tuple[Array, Array]:
    """The losses of rows, and ``top, rest, a, z`` of their gradients (see `rows`)."""
    numbers = given.numbers
    total, log_rest = 1.0 + sums.rest, np.log1p(sums.rest)
    lse, miss = sums.top + log_rest, _miss(sums, total)
    labelled = sums.mass * log_rest + sums.spread + numbers.epsilon * miss
    # A row without labels is not 0 * inf.
    loss = np.where((sums.mass == 0) & (sums.spread == 0), sums.rest - sums.rest, labelled)
    if numbers.z_loss:
        loss = loss + numbers.z_loss * (lse * lse)
    slants = np.empty((4, loss.size))
    slants[0] = sums.top
    slants[1] = sums.rest
    slants[2] = sums.mass + numbers.epsilon * (sums.mass - miss)
    slants[3] = 2.0 * numbers.z_loss * lse
    wrong = np.isnan(sums.rest)
    slants[:, wrong] = np.nan
    return np.where(wrong, np.nan, loss), slants


def _dense_gradient(
    given: _Given, rows: slice, slants: Array, scale: Array, scratch: _Scratch, out: Array
) -> None:
    real = scratch.real.type
    top, rest, a, z, s = (each.astype(real)[:, None] for each in (*slants, scale))
    inverse = real(1) / (real(1) + rest)
    for cols in _pieces(given):
        v = _load(given, rows, cols, scratch)
        p = _exp_difference(v, top, *(scratch(i, v) for i in range(3)))
        own, q = _coefficients(given, rows, cols, scratch), scratch(1, v)
        np.subtract(real(1), p, out=q)
        q += rest
        q *= inverse
        p *= inverse
        if given.numbers.epsilon:
            extra = np.multiply(p, real(given.numbers.epsilon), out=scratch(2, v))
            extra *= own
            own += extra
        q *= own
        np.subtract(a, own, out=own)
        own += z
        p *= own
        p -= q
        g = out[rows, cols] if out.dtype == real else p
        np.multiply(p, s, out=g)
        _finish(given, g, rows, cols, scale, out)


# --- the kernels ------------------------------------------------------------------------------


def _write(
    given: _Given, group: slice, slopes: Array, scale: Array, scratch: _Scratch, out: Array
) -> None:
    gradient = _index_gradient if given.labels.ndim == 1 else _dense_gradient
    for rows, here in _blocks(given, group):
        if scale[here].any():
            gradient(given, rows, slopes[:, here], scale[here], scratch, out)
        else:
            out[rows] = 0


def losses(call: Call, upstream: float, losses: Array, saved: Array, out: Array) -> None:
    """The losses of rows."""
    given = _given(call)
    out = out.reshape(-1, given.x.shape[1])

    def evaluate(start: int, stop: int) -> int:
        scratch = _Scratch(given, stop - start, losses.dtype)
        loss_of = _index_loss if given.labels.ndim == 1 else _dense_loss
        with np.errstate(all="ignore"):
            for group in _groups(given, start, stop):
                s = call.scale[group] if call.scale.size else np.ones(group.stop - group.start)
                sums = _sums(given, group, s, scratch)
                loss, slopes = loss_of(given, sums, group, losses.dtype)
                losses[group] = np.where(s == 0, 0.0, s * loss)
                if saved.size:
                    saved[group] = slopes.T
                if out.size:
                    _write(given, group, slopes, s * upstream, scratch, out)
        return 0

    run(evaluate, (), call.x.length, call.x.flat.size)


def gradients(call: Call, cotangent: Array, saved: Array, out: Array) -> None:
    """Their gradients."""
    given = _given(call)
    out = out.reshape(-1, given.x.shape[1])

    def differentiate(start: int, stop: int) -> int:
        scratch, rows = _Scratch(given, stop - start, call.class_weight.dtype), slice(start, stop)
        with np.errstate(all="ignore"):
            _write(given, rows, saved[rows].T, cotangent[rows], scratch, out)
        return 0

    run(differentiate, (), call.x.length, call.x.flat.size)


def _given(call: Call) -> _Given:
    x = call.x.flat.reshape(-1, call.x.n)
    shares = call.shares
    if shares.size:
        shares = np.broadcast_to(shares, (shares.shape[0], call.x.n))
    labels = call.t.flat.reshape(-1, call.x.n) if call.t.flat.size else call.labels
    return _Given(x, labels, call.class_weight, shares, call.mask, call.numbers)


def lend(x: Array) -> Array:
    """The array itself."""
    return x


def total(x: Array) -> float:
    """The sum of float32 numbers."""
    return float(np.sum(x, dtype=np.float64))


def is_uniform(x: Array) -> bool:
    """Whether all numbers are the same."""
    return bool(np.all(x == x[0]))


def multiply(x: Array, count: int, factors: Array) -> None:
    """Multiply rows."""
    table = x.reshape(count, -1)

    def work(start: int, stop: int) -> int:
        part, each = table[start:stop], factors if factors.size == 1 else factors[start:stop]
        with np.errstate(all="ignore"):
            np.multiply(part, each.astype(x.dtype)[:, None], out=part)
        part[np.broadcast_to(each == 0, part.shape[:1])] = 0
        return 0

    run(work, (), count, x.size)
