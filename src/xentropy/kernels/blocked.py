"""The `Engine` in NumPy, for where Numba is not installed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .blocked_sums import (
    TINY,
    Given,
    Scratch,
    Sums,
    are_direct,
    blocks,
    coefficients,
    exp_difference,
    exponentials,
    factors_of,
    given_of,
    groups,
    load,
    miss_of,
    part_of,
    pieces_of,
    sums_of,
)
from .by_row import Call
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


# --- index labels -----------------------------------------------------------------------------


class _Label(NamedTuple):
    """What a row has at its label."""

    y: Array
    valid: Array
    x: Array
    weight: Array | float
    share: Array | float  # that smoothing gives it


def _label(given: Given, rows: slice, real: Any) -> _Label:
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
    return _Label(y, valid, np.where(valid, np.float64(x_y), np.nan), weight, share)


def _index_loss(given: Given, sums: Sums, rows: slice, real: Any) -> tuple[Array, Array]:
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
    miss, mass = miss_of(sums, total), sums.mass
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


def _dense_loss(given: Given, sums: Sums, rows: slice, real: Any) -> tuple[Array, Array]:
    """The losses of rows, and ``top, rest, a, z`` of their gradients (see `rows`)."""
    numbers = given.numbers
    total, log_rest = 1.0 + sums.rest, np.log1p(sums.rest)
    lse, miss = sums.top + log_rest, miss_of(sums, total)
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
        loss_of = _index_loss if given.labels.ndim == 1 else _dense_loss
        with np.errstate(all="ignore"):
            for group in groups(given, start, stop):
                s = call.scale[group] if call.scale.size else np.ones(group.stop - group.start)
                sums = sums_of(given, group, s, scratch)
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
    given = given_of(call)
    out = out.reshape(-1, given.x.shape[1])

    def differentiate(start: int, stop: int) -> int:
        scratch, rows = Scratch(given, stop - start, call.class_weight.dtype), slice(start, stop)
        with np.errstate(all="ignore"):
            _write(given, rows, saved[rows].T, cotangent[rows], scratch, out)
        return 0

    run(differentiate, (), call.x.length, call.x.flat.size)


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
