"""Losses of rows in which each class has a term of its own, and log-probabilities.

Where `rows` makes a loss of the sums of a row, here one more pass over its numbers adds up their
terms. Some short rows, or a long one, lie in the memory of a thread meanwhile.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementary import exp_quotient, log, log1p_any, power
from .layout import BLOCK, LINE, given_of, padded, rows_at_once
from .machine import (
    add,
    cast,
    entry,
    fma,
    helper,
    inlined,
    narrow_to,
    place_of,
    pointer,
    settle,
    shifted,
    widen,
)
from .sums import PART, gather, labeled, labels_of, maximum, plus, whole, z_loss
from .writing import Slant, clear, deliver, nothing, scatter, slant, target, write

__all__ = ["DIVERGENCE", "ENTROPY", "FOCAL", "LOGSUMEXP", "LOG_SOFTMAX", "terms"]

LOGSUMEXP, LOG_SOFTMAX, DIVERGENCE, FOCAL, ENTROPY = range(5)
"""What is computed."""


class _Memory(NamedTuple):
    """The memory of one thread, by pointers; what there is of each row has its number."""

    unit: Any  # the logits of some rows, in the compute dtype
    t: Any  # their labels, where the classes lie apart
    e: Any  # the exponentials of a row
    slopes: Any  # what its gradient is made of
    page: Any  # a block of a gradient, on its way past the cache
    top: Any  # the maximum of each row, float64


@inlined
def _memory_of(array: Any, size: Any, n: Any, one: Any) -> Any:
    """The parts of an array, which begin with cache lines."""
    start = (array.ctypes.data + 8 * LINE - 1) // (8 * LINE) * (8 * LINE)
    x, e = pointer(start, one), shifted(pointer(start, one), 2 * size)
    tops = shifted(pointer(start, 0.0), 2 * size + 2 * n + BLOCK)
    return _Memory(x, shifted(x, size), e, shifted(e, n), shifted(e, 2 * n), tops)


class _Row(NamedTuple):
    """The numbers of a row, in the compute dtype."""

    top: Any
    rest: Any  # the sum of the exponentials, without one maximum
    total: Any  # 1 + rest
    log_rest: Any
    temperature: Any
    gamma: Any
    one: Any


@helper
def _exponentials(x: Any, count: Any, top: Any, scale: Any, one: Any, e: Any) -> Any:
    """Write exponentials, and add them up: those below 1, and those that are 1, or NaN."""
    zero = one - one
    below, ties = zero, zero
    for i in range(count):
        v = exp_quotient(x[i], top, scale.inverse, scale.rest)
        e[i] = v
        below = add(below, v if v < one else zero)
        ties = add(ties, zero if v < one else v)
    return below, ties


class _Scale(NamedTuple):
    """What divides the logits, as a number that multiplies them with twice its digits."""

    temperature: Any
    inverse: Any
    rest: Any


@inlined
def _scale_of(temperature: Any, one: Any) -> Any:
    divisor = cast(temperature, one)
    # Of a subnormal number it would be infinite, and that times 0 NaN.
    inverse = min(one / divisor, cast(1e38, one))
    return _Scale(divisor, inverse, fma(-inverse, divisor, one) * inverse)


@inlined
def _sum_up(given: Any, i: Any, stride: Any, scale: Any, memory: Any, one: Any) -> Any:
    """The numbers of row ``i`` of those in memory, NaN where it has no softmax.

    Its exponentials are written. The last number is ``logsumexp - top`` in float64.
    """
    top = one - one if memory.top[i] == -np.inf else cast(memory.top[i], one)
    below, ties, rounded = 0.0, 0.0, 0.0
    for a in range(0, stride, BLOCK):
        size, block = min(BLOCK, stride - a), shifted(memory.unit, i * stride + a)
        s, t = _exponentials(block, size, top, scale, one, shifted(memory.e, a))
        below, rounded = plus(below, rounded, np.float64(s))
        ties += t
    rest = whole(below, rounded) + (ties - 1.0) if memory.top[i] != -np.inf else np.nan
    log_rest = log1p_any(rest)
    return _Row(
        top,
        cast(rest, one),
        cast(1.0 + rest, one),
        cast(log_rest, one),
        scale.temperature,
        cast(given.gamma, one),
        one,
    ), log_rest


@helper
def _has_nan(x: Any, n: Any) -> Any:
    found = 0
    for i in range(n):
        found += x[i] != x[i]
    return found != 0


@helper
def _log_probs(x: Any, count: Any, row: Any, out: Any) -> Any:
    for i in range(count):
        out[i] = (x[i] - row.top) - row.log_rest


@helper
def _divergence(x: Any, t: Any, count: Any, row: Any) -> Any:
    """The sum of ``t (log t - log p)``, and that of ``t``."""
    zero = row.one - row.one
    found, mass = zero, zero
    for i in range(count):
        v = t[i]
        surprise = row.log_rest - (x[i] - row.top) / row.temperature
        found = add(found, zero if v == zero else v * (log(v) + surprise))
        mass = add(mass, v)
    return found, mass


@helper
def _drops(x: Any, e: Any, count: Any, row: Any) -> Any:
    """The sum of ``e (top - x)``."""
    zero = row.one - row.one
    found = zero
    for i in range(count):
        found = add(found, zero if e[i] == zero else e[i] * (row.top - x[i]))
    return found


@helper
def _surplus(x: Any, e: Any, count: Any, of: Any, out: Any) -> Any:
    """``p (top - x)`` less ``p`` times its mean, the gradient of the entropy."""
    zero, factor = of.one - of.one, of.scale * of.inverse
    for i in range(count):
        p = factor * e[i]
        out[i] = narrow_to(zero if p == zero else p * ((of.top - x[i]) - of.a), out[i])


@helper
def _fades(e: Any, count: Any, row: Any, out: Any) -> Any:
    """``(1 - p)^gamma``."""
    if row.gamma == 2.0:
        for i in range(count):
            q = ((row.one - e[i]) + row.rest) / row.total
            out[i] = q * q
    else:
        for i in range(count):
            out[i] = power(((row.one - e[i]) + row.rest) / row.total, row.gamma)


@helper
def _focal(x: Any, e: Any, w: Any, count: Any, row: Any, fades: Any, slopes: Any) -> Any:
    """The sum of ``w (1 - p)^gamma (-log p)``; writes ``w`` times the slopes, returns their sum."""
    zero = row.one - row.one
    found, mass = zero, zero
    for i in range(count):
        surprise = row.log_rest - (x[i] - row.top)
        p, q = e[i] / row.total, ((row.one - e[i]) + row.rest) / row.total
        # -log(p) / q tends to 1 where q underflows.
        ratio = (zero if p == zero else p * surprise) / (row.one if q == zero else q)
        ratio = row.one if q == zero else ratio
        v = w[i]
        cost = zero if fades[i] == zero else fades[i] * surprise
        found = add(found, zero if v == zero else v * cost)
        slope = v * (fades[i] * (row.one + row.gamma * ratio))
        slopes[i] = slope
        mass = add(mass, slope)
    return found, mass


@helper
def _total(given: Any, r: Any, t: Any, one: Any) -> Any:
    """The sum of what the classes of a row have that are not left out."""
    found, lost, zero, n, masked = 0.0, 0.0, one - one, given.n, given.masks != 0
    mask = shifted(given.mask, r % given.masks * n if masked else 0)
    for a in range(0, n, PART):
        part = zero
        for i in range(a, min(a + PART, n)):
            part = add(part, t[i] if not masked or mask[i] != 0 else zero)
        found, lost = plus(found, lost, np.float64(part))
    return whole(found, lost)


@inlined
def _terms_of(given: Any, kind: Any, r: Any, i: Any, stride: Any, row: Any, memory: Any) -> Any:
    """The sum of the terms of a row; the numbers of `slant`, and their sum."""
    n, x = given.n, shifted(memory.unit, i * stride)
    found, lost, mass, mass_lost = 0.0, 0.0, 0.0, 0.0
    # Of KL, and of log-probabilities with a cotangent, what is sloped are the labels themselves.
    t = labels_of(given, r, i, 0, memory) if given.dense else memory.slopes
    if kind == LOG_SOFTMAX and given.dense:
        mass = _total(given, r, t, row.one)
    elif kind == DIVERGENCE:
        for a in range(0, n, PART):
            s, m = _divergence(shifted(x, a), shifted(t, a), min(PART, n - a), row)
            found, lost = plus(found, lost, np.float64(s))
            mass, mass_lost = plus(mass, mass_lost, np.float64(m))
    elif kind == ENTROPY:
        for a in range(0, n, PART):
            s = _drops(shifted(x, a), shifted(memory.e, a), min(PART, n - a), row)
            found, lost = plus(found, lost, np.float64(s))
        found, lost = whole(found, lost) / np.float64(row.total), 0.0
        mass = found
    elif kind == FOCAL:
        # The page is not needed before the gradient is.
        fades, spare = memory.page, shifted(memory.page, PART)
        for a in range(0, n, PART):
            count, w, e = min(PART, n - a), shifted(t, a), shifted(memory.e, a)
            if given.weighted or given.sharing:
                labeled(given, r, a, w, count, row.one, spare)
                w = spare
            _fades(e, count, row, fades)
            slopes = shifted(memory.slopes, a)
            s, m = _focal(shifted(x, a), e, w, count, row, fades, slopes)
            found, lost = plus(found, lost, np.float64(s))
            mass, mass_lost = plus(mass, mass_lost, np.float64(m))
        t = memory.slopes
    return whole(found, lost), whole(mass, mass_lost), t


@inlined
def _slant_of(given: Any, row: Any, mass: Any, scale: Any, lse: Any) -> Any:
    one = row.one
    inverse, a, s = one / row.total, cast(mass, one), cast(scale, one)
    z = cast(2.0 * given.z_loss * lse, one)
    return Slant(row.rest, inverse, a, z, s, one - one, one, row.top)


@inlined
def _differentiate(
    given: Any, kind: Any, r: Any, x: Any, of: Any, slopes: Any, past: Any, memory: Any, out: Any
) -> Any:
    """The gradient of a row."""
    for i in range(0, given.n, BLOCK):
        count, to, e = min(BLOCK, given.n - i), target(past, i, memory, out), shifted(memory.e, i)
        if kind == LOGSUMEXP:
            write(e, count, of.scale * of.inverse, to)
        elif kind == ENTROPY:
            _surplus(shifted(x, i), e, count, of, to)
        else:
            slant(e, count, shifted(slopes, i), of, to)
        if given.masks:
            clear(given, r, i, count, of.one - of.one, to)
        if past:
            deliver(to, count, shifted(out, i))


@inlined
def _write_log_probs(n: Any, x: Any, row: Any, past: Any, memory: Any, out: Any) -> Any:
    for i in range(0, n, BLOCK):
        count, to = min(BLOCK, n - i), target(past, i, memory, out)
        _log_probs(shifted(x, i), count, row, to)
        if past:
            deliver(to, count, shifted(out, i))


@inlined
def _loss(given: Any, kind: Any, top: Any, log_rest: Any, x: Any, found: Any) -> Any:
    """The loss of a row; NaN where it has no softmax, but a logsumexp may be infinite."""
    loss = found + z_loss(top + log_rest, given) if log_rest == log_rest else np.nan
    if kind == ENTROPY:
        loss = log_rest + found
    if kind == LOGSUMEXP:
        loss = top + log_rest
        if abs(top) == np.inf:
            loss = np.nan if _has_nan(x, given.n) else top
    return loss


@inlined
def _load(given: Any, first: Any, m: Any, stride: Any, memory: Any, one: Any) -> Any:
    """Load some rows, -inf where a class is left out, and find their maxima."""
    zero, low = one - one, cast(-np.inf, one)
    if given.step != 1:
        gather(given.x, given.starts, given.step, given.n, first, m, low, memory.unit)
    if given.dense and given.t_step != 1:
        gather(given.t, given.t_starts, given.t_step, given.n, first, m, zero, memory.t)
    for i in range(m):
        unit = shifted(memory.unit, i * stride)
        memory.top[i] = maximum(given, first + i, low, unit)


@entry
def terms(
    one: Any,
    call: Any,
    kind: Any,
    temperature: Any,
    upstream: Any,
    cotangent: Any,
    losses: Any,
    out: Any,
    past: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Losses of rows ``start`` to ``stop``, and their gradients.

    Parameters
    ----------
    one : number
        1 in the dtype of the logits, half precision as its bits.
    call : tuple
        What `layout.given_of` takes. Of log-probabilities the labels are their cotangents.
    kind : int
        What is computed.
    temperature : float
        Divides the logits; 1 where that changes nothing.
    upstream : float
        The cotangent of all losses, for ``out``.
    cotangent : address, float64, shape (N,)
        Those of each row instead; 0 if not given.
    losses : address, shape (N,), or (N, C) of log-probabilities
        To be written, in the compute dtype; 0 if not wanted.
    out : address
        The gradient, to be written, in the dtype of the logits: rows that follow one another, or,
        where the classes lie apart, in their places; 0 if not wanted.
    past : bool
        Whether what is written is too large for a cache, and is written past it.
    """
    given, real = given_of(one, call), widen(one)
    n, stride, step = given.n, padded(given.n), rows_at_once(given, stop - start)
    array = np.empty(LINE + 2 * step * stride + 2 * stride + BLOCK + step)
    memory = _memory_of(array, step * stride, stride, real)
    scale, apart, gradient = _scale_of(temperature, real), given.step != 1, pointer(out, one)
    # The gradients of rows whose classes lie apart take the place of their logits, which are no
    # narrower: none reaches a row that is still to be read.
    rows, values = pointer(place_of(memory.unit), one), pointer(losses, real)
    for first in range(start, stop, step):
        m = min(step, stop - first)
        _load(given, first, m, stride, memory, real)
        for i in range(m):
            r, unit = first + i, shifted(memory.unit, i * stride)
            to = shifted(rows, i * stride) if apart else shifted(gradient, r * n)
            weight = given.scale[r] if given.scaled else 1.0
            if weight == 0:
                if losses:
                    nothing(1, real, shifted(values, r))
                if out:
                    nothing(n, real, to)
                continue
            row, log_rest = _sum_up(given, i, stride, scale, memory, real)
            found, mass, slopes = _terms_of(given, kind, r, i, stride, row, memory)
            if losses and kind == LOG_SOFTMAX:
                _write_log_probs(n, unit, row, past, memory, shifted(values, r * n))
            elif losses:
                loss = _loss(given, kind, memory.top[i], log_rest, unit, found)
                values[r] = cast(weight * temperature * temperature * loss, real)
            if out:
                factor = pointer(cotangent, upstream)[r] if cotangent else weight * upstream
                factor = -1.0 if kind == LOG_SOFTMAX else temperature * factor
                if factor == 0:
                    nothing(n, real, to)
                else:
                    of = _slant_of(given, row, mass, factor, memory.top[i] + log_rest)
                    to_past = past and not apart
                    _differentiate(given, kind, r, unit, of, slopes, to_past, memory, to)
        if out and apart:
            scatter(given, first, m, stride, rows, gradient)
    if past:
        settle()
    # The memory lives until it is asked for its size.
    return 0 if array.size else 1
