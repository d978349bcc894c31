"""Losses of rows and their gradients: what a loss has of its own, made of the sums of its rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementary import exp_difference, log1p_any
from .elements import sum_of
from .layout import (
    BLOCK,
    allocate,
    factor_of,
    given_of,
    is_short,
    may_keep,
    padded,
    rows_at_once,
    scratch_of,
    start_of,
    unit_of,
)
from .machine import (
    cast,
    entry,
    helper,
    inlined,
    merged,
    narrow_to,
    place_of,
    pointer,
    settle,
    shifted,
    widen,
)
from .sums import exponentials, row_sums, weights_of, z_loss
from .writing import Slant, clear, copy, deliver, fill, nothing, scatter, slant, target, write

__all__ = ["rows"]


@helper
def _store(given: Any, first: Any, m: Any, scratch: Any, losses: Any) -> Any:
    """Write the losses of some rows; of those left out it is 0."""
    for i in range(m):
        s = given.scale[first + i] if given.scaled else 1.0
        losses[i] = cast(s * scratch.losses[i] if s != 0 else 0.0, losses[i])


@helper
def _expect(given: Any, first: Any, m: Any, upstream: Any, scratch: Any) -> Any:
    """The cotangents of some rows, where they are known in advance."""
    for i in range(m):
        scratch.cotangent[i] = upstream * (given.scale[first + i] if given.scaled else 1.0)


@inlined
def _has_class(given: Any, r: Any, y: Any) -> Any:
    return given.masks == 0 or given.mask[r % given.masks * given.n + y] != 0


@inlined
def _miss(gap: Any, rest: Any, mass: Any, total: Any) -> Any:
    """The sum of ``w (1 - p)``."""
    return (gap + rest * mass) / total


# --- index labels -----------------------------------------------------------------------------
#
# The gradient of a row is ``a e - w (1 + c e)`` with ``e = exp(x - top)`` and the weights ``w``
# that smoothing spreads, and ``own`` at the label. The slopes are top, a, c and own.


@helper
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
                where = 0 if given.even else r % given.sharing * given.n + y
                share = np.float64(given.shares[where])
        elif not given.scaled or given.scale[r] != 0:
            wrong += 1
        scratch.label[i], scratch.weight[i], scratch.share[i] = found, weight, share
    return wrong


@inlined
def _is_plain(given: Any) -> Any:
    options = given.smoothing != 0 or given.z_loss != 0 or given.epsilon != 0
    return not (options or given.gamma >= 0 or given.weighted or given.sharing)


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
    for i in range(m):
        top, rest, spread = scratch.top[i], scratch.rest[i], scratch.spread[i]
        mass, gap, x_y, share = scratch.mass[i], scratch.gap[i], scratch.label[i], scratch.share[i]
        total, log_rest = 1.0 + rest, log1p_any(rest)
        drop, e_y = top - x_y, exp_difference(x_y, top)
        p, q = e_y / total, ((1.0 - e_y) + rest) / total
        surprise, lse = log_rest + drop, top + log_rest
        if given.gamma >= 0:
            power = q**given.gamma
            cost = power * surprise if power != 0 else 0.0
            ratio = (p * surprise if p != 0 else 0.0) / q if q != 0 else 1.0
            slope = power * (1.0 + given.gamma * ratio)
        else:
            cost, slope = surprise + given.epsilon * q, 1.0 + given.epsilon * p
        miss, keep = _miss(gap, rest, mass, total), (1.0 - given.smoothing) * scratch.weight[i]
        loss = (keep * cost if keep != 0 else 0.0) + z_loss(lse, given)
        if mass != 0:
            loss += mass * log_rest + spread + given.epsilon * miss
        others = 2.0 * given.z_loss * lse + (mass + given.epsilon * (mass - miss))
        own = p * others - (keep * slope) * q - share * (1.0 + given.epsilon * p)
        bad = rest != rest or top == -np.inf or x_y != x_y
        slopes = shifted(scratch.slopes, 4 * i)
        scratch.losses[i] = np.nan if bad else loss
        slopes[0], slopes[1] = top, np.nan if bad else (others + keep * slope) / total
        slopes[2], slopes[3] = given.epsilon / total, np.nan if bad else own


@helper
def _smooth(e: Any, count: Any, a: Any, c: Any, scale: Any, weights: Any, out: Any) -> Any:
    for i in range(count):
        w = scale * weights[i]
        out[i] = narrow_to(a * e[i] - (w + w * (c * e[i])), out[i])


@merged
def _index_gradient(
    given: Any, r: Any, slopes: Any, s: Any, e: Any, kept: Any, past: Any, scratch: Any, out: Any
) -> Any:
    """The gradient of a row, times ``s``; ``e`` are its exponentials, if they were kept."""
    n, one, row = given.n, scratch.one, shifted(given.x, start_of(given, r))
    top, real, y = cast(slopes[0], one), cast(s, one), given.labels[r]
    y = y if 0 <= y < n and _has_class(given, r, y) else -1
    for i in range(0, n, BLOCK):
        count, to, block, f = min(BLOCK, n - i), target(past, i, scratch, out), e, 1.0
        if kept:
            block, f = shifted(e, i), factor_of(given, i, slopes[0], scratch)
        else:
            exponentials(shifted(row, i), count, top, e)
        a, c = cast(f * (s * slopes[1]), one), cast(f * slopes[2], one)
        if given.sharing:
            _smooth(block, count, a, c, real, weights_of(given, r, 0, i, count, scratch), to)
        else:
            write(block, count, a, to)
        if given.masks:
            clear(given, r, i, count, one - one, to)
        if i <= y < i + count:
            to[y - i] = narrow_to(cast(s * slopes[3], one), to[y - i])
        if past:
            deliver(to, count, shifted(out, i))


# --- distributions ----------------------------------------------------------------------------
#
# The gradient of a row is ``p (a + z - own) - own q`` with ``own = b[c] (1 + epsilon p[c])`` and
# the weights ``b`` of `weights_of`. The slopes are top, rest, a and z.


@helper
def _dense_losses(given: Any, m: Any, scratch: Any) -> Any:
    for i in range(m):
        top, rest, spread = scratch.top[i], scratch.rest[i], scratch.spread[i]
        mass, gap = scratch.mass[i], scratch.gap[i]
        total, log_rest = 1.0 + rest, log1p_any(rest)
        lse, miss = top + log_rest, _miss(gap, rest, mass, total)
        loss = z_loss(lse, given)
        # A row without labels is not 0 * inf.
        if mass != 0 or spread != 0:
            loss += mass * log_rest + spread + given.epsilon * miss
        bad = rest != rest or top == -np.inf
        slopes = shifted(scratch.slopes, 4 * i)
        scratch.losses[i] = np.nan if bad else loss
        slopes[0], slopes[1] = top, np.nan if bad else rest
        slopes[2], slopes[3] = mass + given.epsilon * (mass - miss), 2.0 * given.z_loss * lse


@merged
def _dense_gradient(
    given: Any,
    r: Any,
    k: Any,
    slopes: Any,
    s: Any,
    e: Any,
    kept: Any,
    past: Any,
    scratch: Any,
    out: Any,
) -> Any:
    """The gradient of row ``r``, of which scratch has number ``k``, times ``s``.

    ``e`` are its exponentials, if they were kept.
    """
    n, one, row = given.n, scratch.one, shifted(given.x, start_of(given, r))
    top, rest = cast(slopes[0], one), cast(slopes[1], one)
    a, z, scale = cast(slopes[2], one), cast(slopes[3], one), cast(s, one)
    of = Slant(rest, one / (one + rest), a, z, scale, cast(given.epsilon, one), one, top)
    for i in range(0, n, BLOCK):
        count, block, to = min(BLOCK, n - i), e, target(past, i, scratch, out)
        if kept:
            block = shifted(e, i)
        else:
            exponentials(shifted(row, i), count, top, e)
        slant(block, count, weights_of(given, r, k, i, count, scratch), of, to)
        if given.masks:
            clear(given, r, i, count, one - one, to)
        if past:
            deliver(to, count, shifted(out, i))


# --- the kernel -------------------------------------------------------------------------------


@inlined
def _evaluate(given: Any, first: Any, m: Any, scratch: Any) -> Any:
    """The losses of some rows and their slopes; returns how many labels are wrong."""
    if given.dense:
        _dense_losses(given, m, scratch)
        return 0
    wrong = _at_labels(given, first, m, scratch)
    if _is_plain(given):
        tops, rests, labels = scratch.top, scratch.rest, scratch.label
        _plain_losses(m, tops, rests, labels, scratch.slopes, scratch.losses)
    else:
        _index_losses(given, m, scratch)
    return wrong


@inlined
def _differentiate_row(
    given: Any, r: Any, i: Any, kept: Any, past: Any, scratch: Any, out: Any
) -> Any:
    """The gradient of row ``r``, of which scratch has number ``i``; 0 where its cotangent is."""
    s, slopes = scratch.cotangent[i], shifted(scratch.slopes, 4 * i)
    e = shifted(scratch.e, i * padded(given.n) if is_short(given) else 0)
    # Of a part of a row the sums were others.
    kept = kept and (not is_short(given) or scratch.top[i] == slopes[0])
    if s == 0:
        nothing(given.n, scratch.one, out)
    elif given.dense:
        _dense_gradient(given, r, i, slopes, s, e, kept, past, scratch, out)
    else:
        _index_gradient(given, r, slopes, s, e, kept, past, scratch, out)


@inlined
def _differentiate(
    given: Any, first: Any, m: Any, kept: Any, past: Any, scratch: Any, out: Any
) -> Any:
    """The gradients of some rows, whose exponentials were ``kept``."""
    apart, stride = given.step != 1, padded(given.n)
    rows = pointer(place_of(scratch.unit), out[0])
    for i in range(m):
        row = shifted(rows, i * stride) if apart else shifted(out, (first + i) * given.n)
        _differentiate_row(given, first + i, i, kept, past and not apart, scratch, row)
    if apart:
        scatter(given, first, m, stride, rows, out)


@entry
def rows(
    one: Any,
    call: Any,
    upstream: Any,
    cotangent: Any,
    losses: Any,
    divisor: Any,
    mean: Any,
    saved: Any,
    out: Any,
    past: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Losses of rows ``start`` to ``stop``, and what their gradients need, or these themselves.

    Returns how many of the rows that are not left out have a wrong label.

    Parameters
    ----------
    one : number
        1 in the dtype of the logits, half precision as its bits.
    call : tuple
        What `layout.given_of` takes.
    upstream : float
        The cotangent of all losses, for ``out``.
    cotangent : address, float64, shape (N,)
        Those of each row, if the losses are not wanted.
    losses : address, shape (N,)
        To be written, in the compute dtype; 0 if ``saved`` tells what the gradients need.
    divisor : float
        Of the sum of the losses, for ``mean``.
    mean : address, shape ()
        To be written, in the compute dtype, where these rows are all; 0 if not wanted.
    saved : address, float64, shape (N, 4)
        To be written with the losses, and read without; 0 if not wanted.
    out : address
        The gradient, to be written, in the dtype of the logits: rows that follow one another, or,
        where the classes lie apart, in their places; 0 if not wanted.
    past : bool
        Whether it is too large for a cache, and is written past it.
    """
    given = given_of(one, call)
    step, wrong = rows_at_once(given, stop - start), 0
    keep = out != 0 and (is_short(given) or (losses != 0 and may_keep(given)))
    memory = allocate(given, step, keep)
    scratch = scratch_of(memory, given, step, keep, one)
    if given.even and not given.dense:
        fill(given.shares[0], min(padded(given.n), unit_of(given)), scratch.spare)
    needed = pointer(saved, upstream)
    for first in range(start, stop, step):
        m = min(step, stop - first)
        if losses or is_short(given):
            row_sums(given, first, m, keep, scratch)
        if losses:
            wrong += _evaluate(given, first, m, scratch)
            _store(given, first, m, scratch, shifted(pointer(losses, scratch.one), first))
            _expect(given, first, m, upstream, scratch)
            if saved:
                copy(scratch.slopes, 4 * m, shifted(needed, 4 * first))
        else:
            copy(shifted(needed, 4 * first), 4 * m, scratch.slopes)
            copy(shifted(pointer(cotangent, upstream), first), m, scratch.cotangent)
        if out:
            _differentiate(given, first, m, keep, past, scratch, pointer(out, one))
    if mean:
        every = shifted(pointer(losses, scratch.one), start)
        pointer(mean, scratch.one)[0] = cast(sum_of(every, stop - start) / divisor, scratch.one)
    if past:
        settle()
    # The memory lives until it is asked for its size.
    return wrong if memory.size else 0
