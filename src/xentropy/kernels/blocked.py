"""The `Engine` in NumPy, for where Numba is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .blocked_sums import (
    TINY,
    Given,
    Scratch,
    are_direct,
    blocks,
    coefficients,
    exponentials,
    factors_of,
    given_of,
    groups,
    load,
    part_of,
    pieces_of,
    sums_of,
)
from .by_row import Call
from .memory import narrowed
from .of_sums import Label, Sums, dense_loss, exp_difference, index_loss
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
    "sums",
    "total",
]

Array = npt.NDArray[Any]

KINDS = frozenset(("index", "dense"))
BY_STRIDES = False


# --- index labels -----------------------------------------------------------------------------


def _label(given: Given, rows: slice, real: Any) -> Label:
    n = given.x.shape[1]
    y = given.labels[rows]
    valid = (y >= 0) & (y < n)
    y = np.where(valid, y, 0)
    r = np.arange(rows.start, rows.stop)
    chosen = given._replace(x=given.x[r, y][:, None], mask=given.mask[:, :0])
    x_y = load(chosen, slice(None), slice(None), Scratch(chosen, y.size, real))[:, 0]
    if given.mask.size:
        kept = given.mask[r % given.mask.shape[0], y]
        x_y = np.where(kept, x_y, -np.inf)
    weight = given.class_weight[y].astype(np.float64) if given.class_weight.size else 1.0
    share = 0.0
    if given.weights.size:
        share = given.weights[r % given.weights.shape[0], y].astype(np.float64)
    return Label(np.where(valid, np.float64(x_y), np.nan), weight, share)


def _index_gradient(
    given: Given, rows: slice, slopes: Array, scale: Array, scratch: Scratch, out: Array
) -> None:
    real = scratch.real
    top, a, c, own = slopes
    a = scale * a
    for cols in pieces_of(given):
        v = load(given, rows, cols, scratch)
        size = np.abs(a * np.exp(-top))
        direct = are_direct(v, top) & (size >= TINY) & (size <= 1.0 / TINY)
        e, f = exponentials(v, top.astype(real), direct, scratch), factors_of(top, direct)
        g = out[rows, cols] if out.dtype == real else scratch(1, v)
        np.multiply(e, (a * f).astype(real)[:, None], out=g)
        if given.weights.size:
            w = part_of(given.weights, rows, cols) * scale.astype(real)[:, None]
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


def _finish(given: Given, g: Array, rows: slice, cols: slice, scale: Array, out: Array) -> None:
    """Write the gradients of a block: 0 for classes and rows left out."""
    if given.mask.size:
        np.copyto(g, 0, where=~part_of(given.mask, rows, cols))
    if not scale.all():
        g[scale == 0] = 0
    if g.dtype != out.dtype:
        out[rows, cols] = narrowed(g, out.dtype)


# --- distributions ----------------------------------------------------------------------------


def _dense_gradient(
    given: Given, rows: slice, slants: Array, scale: Array, scratch: Scratch, out: Array
) -> None:
    real = scratch.real.type
    top, rest, a, z, s = (each.astype(real)[:, None] for each in (*slants, scale))
    inverse = real(1) / (real(1) + rest)
    for cols in pieces_of(given):
        v = load(given, rows, cols, scratch)
        p = exp_difference(v, top, *(scratch(i, v) for i in range(3)))
        own, q = coefficients(given, rows, cols, scratch), scratch(1, v)
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


def _evaluate(given: Given, sums: Sums, rows: slice, real: Any) -> tuple[Array, Array]:
    """The losses of rows, and what their gradients need."""
    if given.labels.ndim == 1:
        return index_loss(_label(given, rows, real), given.numbers, sums)
    return dense_loss(given.numbers, sums)


def _write(
    given: Given, group: slice, slopes: Array, scale: Array, scratch: Scratch, out: Array
) -> None:
    gradient = _index_gradient if given.labels.ndim == 1 else _dense_gradient
    for rows, here in blocks(given, group):
        if scale[here].any():
            gradient(given, rows, slopes[:, here], scale[here], scratch, out)
        else:
            out[rows] = 0


def losses(call: Call, upstream: float, losses: Array, saved: Array, out: Array) -> None:
    """The losses of rows."""
    given = given_of(call)
    out = out.reshape(-1, given.x.shape[1])

    def evaluate(start: int, stop: int) -> int:
        scratch = Scratch(given, stop - start, losses.dtype)
        with np.errstate(all="ignore"):
            for group in groups(given, start, stop):
                s = call.scale[group] if call.scale.size else np.ones(group.stop - group.start)
                sums = sums_of(given, group, s, scratch)
                loss, slopes = _evaluate(given, sums, group, losses.dtype)
                losses[group] = np.where(s == 0, 0.0, s * loss)
                if saved.size:
                    saved[group] = slopes.T
                if out.size:
                    _write(given, group, slopes, s * upstream, scratch, out)
        return 0

    run(evaluate, (), call.x.length, call.x.flat.size)


def gradients(call: Call, cotangent: Array, saved: Array, out: Array) -> None:
    """Their gradients."""
    given = given_of(call)
    out = out.reshape(-1, given.x.shape[1])

    def differentiate(start: int, stop: int) -> int:
        scratch, rows = Scratch(given, stop - start, call.class_weight.dtype), slice(start, stop)
        with np.errstate(all="ignore"):
            _write(given, rows, saved[rows].T, cotangent[rows], scratch, out)
        return 0

    run(differentiate, (), call.x.length, call.x.flat.size)


def sums(call: Call, out: Array) -> None:
    """The sums of rows."""
    given = given_of(call)

    def add_up(start: int, stop: int) -> int:
        scratch = Scratch(given, stop - start, call.class_weight.dtype)
        with np.errstate(all="ignore"):
            for group in groups(given, start, stop):
                every = np.ones(group.stop - group.start)
                out[:, group] = sums_of(given, group, every, scratch)[:4]
        return 0

    run(add_up, (), call.x.length, call.x.flat.size)


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
