"""Losses of rows and their gradients: what a loss has of its own, made of the sums of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementary import (
    cast,
    entry,
    exp_difference,
    helper,
    inlined,
    log1p_any,
    narrow_to,
    pointer,
    shifted,
    widen,
)
from .elements import is_uniform, multiply
from .sums import (
    BLOCK,
    allocate,
    exponentials,
    given_of,
    is_short,
    labelled,
    padded,
    row_sums,
    rows_at_once,
    scratch_of,
    shares_of,
    start_of,
)

__all__ = [
    "BY_STRIDES",
    "dense_gradients",
    "dense_rows",
    "index_gradients",
    "index_rows",
    "is_uniform",
    "multiply",
]

BY_STRIDES = True
"""Rows are read where they lie."""


@inlined
def _store(given: Any, first: Any, m: Any, scratch: Any, losses: Any) -> Any:
    """Write the losses of some rows; of those left out it is 0."""
    for i in range(m):
        s = given.scale[first + i] if given.scaled else 1.0
        losses[i] = cast(s * scratch.losses[i] if s != 0 else 0.0, losses[i])


@inlined
def _copy(source: Any, count: Any, target: Any) -> Any:
    for i in range(count):
        target[i] = source[i]


@inlined
def _expect(given: Any, first: Any, m: Any, upstream: Any, scratch: Any) -> Any:
    """The cotangents of some rows, where they are known in advance."""
    for i in range(m):
        scratch.cotangent[i] = upstream * (given.scale[first + i] if given.scaled else 1.0)


@inlined
def _has_class(given: Any, r: Any, y: Any) -> Any:
    return given.masks == 0 or given.mask[r % given.masks * given.n + y] != 0


@helper
def _clear(given: Any, r: Any, a: Any, count: Any, zero: Any, out: Any) -> Any:
    """0 where a class is left out."""
    mask = shifted(given.mask, r % given.masks * given.n + a)
    for i in range(count):
        out[i] = out[i] if mask[i] != 0 else narrow_to(zero, out[i])


@helper
def _write(e: Any, count: Any, a: Any, out: Any) -> Any:
    """Write ``a * e``."""
    for i in range(count):
        out[i] = narrow_to(a * e[i], out[i])


@helper
def _nothing(n: Any, zero: Any, out: Any) -> Any:
    for i in range(n):
        out[i] = narrow_to(zero, out[i])


@inlined
def _miss(gap: Any, rest: Any, mass: Any, total: Any) -> Any:
    """The sum of ``w (1 - p)``."""
    return (gap + rest * mass) / total


@inlined
def _z_loss(lse: Any, numbers: Any) -> Any:
    # The square may overflow.
    return numbers.z_loss * (lse * lse) if numbers.z_loss != 0 else 0.0


@helper
def _scatter(given: Any, first: Any, m: Any, stride: Any, rows: Any, out: Any) -> Any:
    """Write gradients of some rows where their logits lie, the rows side by side."""
    for j in range(given.n):
        for i in range(m):
            to = shifted(out, given.starts[first + i] + j * given.step)
            to[0] = narrow_to(rows[i * stride + j], to[0])


# --- index labels -----------------------------------------------------------------------------
#
# The gradient of a row is ``a e - w (1 + c e)`` with ``e = exp(x - top)`` and the weights ``w``
# that smoothing spreads, and ``own`` at the label. The slopes are top, a, c and own.


@inlined
def _at_labels(given: Any, first: Any, m: Any, scratch: Any) -> Any:
    """The logit at each label, its weight and its share; returns how many labels are wrong."""
    wrong = 0
    for i in range(m):
        r = first + i
        y, found, weight, share = given.labels[r], np.nan, 1.0, 0.0
        if 0 <= y < given.n:
            found = np.float64(widen(given.x[start_of(given, r) + y * given.step]))
            found = found if _has_class(given, r, y) else -np.inf
            if given.weighted:
                weight = np.float64(given.class_weight[y])
            if given.sharing:
                share = np.float64(given.shares[r % given.sharing * given.n + y])
        elif not given.scaled or given.scale[r] != 0:
            wrong += 1
        scratch.label[i], scratch.weight[i], scratch.share[i] = found, weight, share
    return wrong


@inlined
def _is_plain(given: Any) -> Any:
    numbers = given.numbers
    options = numbers.smoothing != 0 or numbers.z_loss != 0 or numbers.epsilon != 0
    return not (options or numbers.gamma >= 0 or given.weighted)


@helper
def _plain_losses(m: Any, tops: Any, rests: Any, labels: Any, slopes: Any, losses: Any) -> Any:
    """`_index_losses` without options, many rows at a time."""
    for i in range(m):
        top, rest, x_y = tops[i], rests[i], labels[i]
        total = 1.0 + rest
        e_y = exp_difference(x_y, top)
        none = 0.0 if top != -np.inf else np.nan  # a row without a softmax
        wrong = 0.0 if x_y == x_y else np.nan
        losses[i] = log1p_any(rest) + (top - x_y) + none
        slopes[4 * i] = top
        slopes[4 * i + 1] = (1.0 + none + wrong) / total
        slopes[4 * i + 2] = 0.0
        slopes[4 * i + 3] = -((1.0 - e_y) + rest) / total


@helper
def _index_losses(given: Any, m: Any, scratch: Any) -> Any:
    """The losses of some rows and their slopes."""
    numbers = given.numbers
    for i in range(m):
        top, rest, spread = scratch.top[i], scratch.rest[i], scratch.spread[i]
        mass, gap, x_y, share = scratch.mass[i], scratch.gap[i], scratch.label[i], scratch.share[i]
        total, log_rest = 1.0 + rest, log1p_any(rest)
        drop, e_y = top - x_y, exp_difference(x_y, top)
        p, q = e_y / total, ((1.0 - e_y) + rest) / total
        surprise, lse = log_rest + drop, top + log_rest
        if numbers.gamma >= 0:
            power = q**numbers.gamma
            cost = power * surprise if power != 0 else 0.0
            ratio = (p * surprise if p != 0 else 0.0) / q if q != 0 else 1.0
            slope = power * (1.0 + numbers.gamma * ratio)
        else:
            cost, slope = surprise + numbers.epsilon * q, 1.0 + numbers.epsilon * p
        miss, keep = _miss(gap, rest, mass, total), (1.0 - numbers.smoothing) * scratch.weight[i]
        loss = (keep * cost if keep != 0 else 0.0) + _z_loss(lse, numbers)
        if mass != 0:
            loss += mass * log_rest + spread + numbers.epsilon * miss
        others = 2.0 * numbers.z_loss * lse + (mass + numbers.epsilon * (mass - miss))
        own = p * others - (keep * slope) * q - share * (1.0 + numbers.epsilon * p)
        bad = rest != rest or top == -np.inf or x_y != x_y
        slopes = shifted(scratch.slopes, 4 * i)
        scratch.losses[i] = np.nan if bad else loss
        slopes[0], slopes[1] = top, np.nan if bad else (others + keep * slope) / total
        slopes[2], slopes[3] = numbers.epsilon / total, np.nan if bad else own


@helper
def _smooth(e: Any, count: Any, a: Any, c: Any, scale: Any, weights: Any) -> Any:
    for i in range(count):
        w = scale * weights[i]
        e[i] = a * e[i] - (w + w * (c * e[i]))


@helper
def _index_gradient(given: Any, r: Any, slopes: Any, s: Any, e: Any, scratch: Any, out: Any) -> Any:
    """The gradient of a row, times ``s``; ``e`` are its exponentials, if it is short."""
    n, one, row = given.n, scratch.one, shifted(given.x, start_of(given, r))
    top, a = cast(slopes[0], one), cast(s * slopes[1], one)
    c, s_real = cast(slopes[2], one), cast(s, one)
    size = n if is_short(given) else BLOCK
    for i in range(0, n, size):
        count, to = min(size, n - i), shifted(out, i)
        if not is_short(given):
            exponentials(shifted(row, i), count, top, e)
        if given.sharing:
            _smooth(e, count, a, c, s_real, shares_of(given, r, i))
        _write(e, count, one if given.sharing else a, to)
        if given.masks:
            _clear(given, r, i, count, one - one, to)
    y = given.labels[r]
    if 0 <= y < n and _has_class(given, r, y):
        out[y] = narrow_to(cast(s * slopes[3], one), out[y])


@inlined
def _index_gradients(given: Any, first: Any, m: Any, scratch: Any, out: Any) -> Any:
    """The gradients of some rows; of those that have cotangent 0 it is 0."""
    n, zero = given.n, scratch.one - scratch.one
    stride = padded(n) if is_short(given) else 0
    for i in range(m):
        s, e, slopes = (
            scratch.cotangent[i],
            shifted(scratch.e, i * stride),
            shifted(scratch.slopes, 4 * i),
        )
        r, row, unit = first + i, shifted(out, (first + i) * n), shifted(scratch.unit, i * stride)
        if given.step == 1 and s != 0:
            _index_gradient(given, r, slopes, s, e, scratch, row)
        elif given.step == 1:
            _nothing(n, zero, row)
        elif s != 0:
            _index_gradient(given, r, slopes, s, e, scratch, unit)
        else:
            _nothing(n, zero, unit)
    if given.step != 1:
        _scatter(given, first, m, stride, scratch.unit, out)


@entry
def index_rows(
    call: Any, upstream: Any, losses: Any, saved: Any, out: Any, start: Any, stop: Any
) -> Any:
    """Losses of rows ``start`` to ``stop``; what their gradients need, or these themselves.

    Returns how many of the rows that are not left out have a wrong label.

    Parameters
    ----------
    call : tuple
        What `sums.given_of` takes.
    upstream : float
        The cotangent of all losses, for ``out``.
    losses : array, shape (N,)
        To be written, in the compute dtype.
    saved : array, float64, shape (N, 4)
        To be written, for `index_gradients`; of size 0 if not wanted.
    out : array
        The gradient, to be written, in the dtype of ``x``: rows that follow one another, or, where
        the classes lie apart, in the places of ``x``. Of size 0 if not wanted.
    """
    given = given_of(call)
    step = rows_at_once(given.n, stop - start)
    held = allocate(given.n, step, losses)
    scratch, wrong = scratch_of(held[0], held[1]), 0
    plain = _is_plain(given) and not given.sharing
    for first in range(start, stop, step):
        m = min(step, stop - first)
        row_sums(given, first, m, out.size > 0, scratch)
        wrong += _at_labels(given, first, m, scratch)
        if plain:
            tops, rests, labels = scratch.top, scratch.rest, scratch.label
            _plain_losses(m, tops, rests, labels, scratch.slopes, scratch.losses)
        else:
            _index_losses(given, m, scratch)
        _store(given, first, m, scratch, shifted(pointer(losses), first))
        if saved.size:
            _copy(scratch.slopes, 4 * m, shifted(pointer(saved), 4 * first))
        if out.size:
            _expect(given, first, m, upstream, scratch)
            _index_gradients(given, first, m, scratch, pointer(out))
    # The scratch memory lives until it is asked for its size.
    return wrong if held[0].size + held[1].size else 0


@entry
def index_gradients(
    call: Any, cotangent: Any, saved: Any, like: Any, out: Any, start: Any, stop: Any
) -> Any:
    """The gradients of rows ``start`` to ``stop``, each times its ``cotangent``, shape (N,).

    ``like`` is an array of the compute dtype.
    """
    given = given_of(call)
    step = rows_at_once(given.n, stop - start)
    held = allocate(given.n, step, like)
    scratch = scratch_of(held[0], held[1])
    for first in range(start, stop, step):
        m = min(step, stop - first)
        if is_short(given):
            row_sums(given, first, m, True, scratch)
        _copy(shifted(pointer(saved), 4 * first), 4 * m, scratch.slopes)
        _copy(shifted(pointer(cotangent), first), m, scratch.cotangent)
        _index_gradients(given, first, m, scratch, pointer(out))
    return 0 if held[0].size + held[1].size else 1


# --- distributions ----------------------------------------------------------------------------
#
# The gradient of a row is ``p (a + z - own) - own q`` with ``own = b[c] (1 + epsilon p[c])`` and
# the weights ``b`` of `labelled`. The slopes are top, rest, a and z.


@helper
def _dense_losses(given: Any, m: Any, scratch: Any) -> Any:
    numbers = given.numbers
    for i in range(m):
        top, rest, spread = scratch.top[i], scratch.rest[i], scratch.spread[i]
        mass, gap = scratch.mass[i], scratch.gap[i]
        total, log_rest = 1.0 + rest, log1p_any(rest)
        lse, miss = top + log_rest, _miss(gap, rest, mass, total)
        loss = _z_loss(lse, numbers)
        # A row without labels is not 0 * inf.
        if mass != 0 or spread != 0:
            loss += mass * log_rest + spread + numbers.epsilon * miss
        bad = rest != rest or top == -np.inf
        slopes = shifted(scratch.slopes, 4 * i)
        scratch.losses[i] = np.nan if bad else loss
        slopes[0], slopes[1] = top, np.nan if bad else rest
        slopes[2], slopes[3] = mass + numbers.epsilon * (mass - miss), 2.0 * numbers.z_loss * lse


@helper
def _slant(e: Any, count: Any, b: Any, rest: Any, a: Any, z: Any, epsilon: Any, one: Any) -> Any:
    inverse = one / (one + rest)
    for i in range(count):
        p, q = e[i] * inverse, ((one - e[i]) + rest) * inverse
        own = b[i] + b[i] * (epsilon * p)
        e[i] = p * ((a - own) + z) - own * q


@helper
def _dense_gradient(given: Any, r: Any, slopes: Any, s: Any, e: Any, scratch: Any, out: Any) -> Any:
    """The gradient of a row, times ``s``; ``e`` are its exponentials, if it is short."""
    n, one, row = given.n, scratch.one, shifted(given.x, start_of(given, r))
    top, rest = cast(slopes[0], one), cast(slopes[1], one)
    a, z, scale = cast(slopes[2], one), cast(slopes[3], one), cast(s, one)
    epsilon = cast(given.numbers.epsilon, one)
    for i in range(0, n, BLOCK):
        count, block, to = min(BLOCK, n - i), e, shifted(out, i)
        if is_short(given):
            block = shifted(e, i)
        else:
            exponentials(shifted(row, i), count, top, e)
        labelled(given, r, i, count, one, scratch.spare)
        _slant(block, count, scratch.spare, rest, a, z, epsilon, one)
        _write(block, count, scale, to)
        if given.masks:
            _clear(given, r, i, count, one - one, to)


@inlined
def _dense_gradients(given: Any, first: Any, m: Any, scratch: Any, out: Any) -> Any:
    n, zero = given.n, scratch.one - scratch.one
    stride = padded(n) if is_short(given) else 0
    for i in range(m):
        s, e, slopes = (
            scratch.cotangent[i],
            shifted(scratch.e, i * stride),
            shifted(scratch.slopes, 4 * i),
        )
        r, row, unit = first + i, shifted(out, (first + i) * n), shifted(scratch.unit, i * stride)
        if given.step == 1 and s != 0:
            _dense_gradient(given, r, slopes, s, e, scratch, row)
        elif given.step == 1:
            _nothing(n, zero, row)
        elif s != 0:
            _dense_gradient(given, r, slopes, s, e, scratch, unit)
        else:
            _nothing(n, zero, unit)
    if given.step != 1:
        _scatter(given, first, m, stride, scratch.unit, out)


@entry
def dense_rows(
    call: Any, upstream: Any, losses: Any, saved: Any, out: Any, start: Any, stop: Any
) -> Any:
    """`index_rows` for distributions."""
    given = given_of(call)
    step = rows_at_once(given.n, stop - start)
    held = allocate(given.n, step, losses)
    scratch = scratch_of(held[0], held[1])
    for first in range(start, stop, step):
        m = min(step, stop - first)
        row_sums(given, first, m, out.size > 0, scratch)
        _dense_losses(given, m, scratch)
        _store(given, first, m, scratch, shifted(pointer(losses), first))
        if saved.size:
            _copy(scratch.slopes, 4 * m, shifted(pointer(saved), 4 * first))
        if out.size:
            _expect(given, first, m, upstream, scratch)
            _dense_gradients(given, first, m, scratch, pointer(out))
    return 0 if held[0].size + held[1].size else 1


@entry
def dense_gradients(
    call: Any, cotangent: Any, saved: Any, like: Any, out: Any, start: Any, stop: Any
) -> Any:
    """`index_gradients` for distributions."""
    given = given_of(call)
    step = rows_at_once(given.n, stop - start)
    held = allocate(given.n, step, like)
    scratch = scratch_of(held[0], held[1])
    for first in range(start, stop, step):
        m = min(step, stop - first)
        if is_short(given):
            row_sums(given, first, m, True, scratch)
        _copy(shifted(pointer(saved), 4 * first), 4 * m, scratch.slopes)
        _copy(shifted(pointer(cotangent), first), m, scratch.cotangent)
        _dense_gradients(given, first, m, scratch, pointer(out))
    return 0 if held[0].size + held[1].size else 1
