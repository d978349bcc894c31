"""Losses of rows, in one read of the logits.

A row is read in units that fit the first-level cache. While the exponentials of one unit are added
up, the next is fetched and its maximum taken: the arithmetic hides the wait for the memory. Each
unit counts from its own maximum; brought to that of the row, in float64, its sum loses nothing.

What a loss has of its own are a few numbers for each row, made of its sums.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from .by_row import Numbers
from .elementary import (
    add,
    apart,
    exp_difference,
    from_key,
    key,
    lowest,
    narrow_to,
    prefetch,
    store,
    widen,
)

__all__ = ["dense_gradients", "dense_rows", "index_gradients", "index_rows"]

UNIT = 4096
"""Numbers in a unit."""
BLOCK = 1024
"""Numbers that are added up in their own precision; the sums of blocks are added in float64."""
PART = 256
"""The same where one label may outweigh the others by far."""
AHEAD = 2048
"""How far ahead the memory is asked for numbers."""


class _Sums(NamedTuple):
    """The sums of a row; ``exp(x - top)`` is 1 at each maximum."""

    top: float
    rest: float  # of exp(x - top), without one maximum
    spread: float  # of w (top - x)
    mass: float  # of w
    gap: float  # of w (1 - exp(x - top))


@njit(nogil=True, error_model="numpy")
def _fetch(raw: Any, unit: Any) -> Any:
    """Load a unit, widened; returns the key of its maximum."""
    most = lowest(unit[0])
    for i in range(raw.size):
        x = widen(raw[i])
        unit[i] = x
        most = max(most, key(x))
    return most


@njit(nogil=True, error_model="numpy")
def _fetch_masked(raw: Any, mask: Any, unit: Any) -> Any:
    """`_fetch` with -inf for what is masked."""
    most = lowest(unit[0])
    low = -unit.dtype.type(np.inf)
    for i in range(raw.size):
        x = widen(raw[i])
        x = x if mask[i] else low
        unit[i] = x
        most = max(most, key(x))
    return most


@njit(nogil=True, error_model="numpy")
def _add(x: Any, top: Any) -> Any:
    """Add up the exponentials: those below 1, and those that are 1."""
    zero = x.dtype.type(0)
    rest, ties = zero, zero
    for i in range(x.size):
        e, tie, tiny = exp_difference(x[i], top)
        rest = add(rest, zero if tie | tiny else e)
        ties = add(ties, e if tie else zero)
    return rest, ties


@njit(nogil=True, error_model="numpy")
def _add_and_fetch(x: Any, top: Any, raw: Any, unit: Any) -> Any:
    """`_add` for one unit while `_fetch` is done for the next, of equal length."""
    zero = x.dtype.type(0)
    rest, ties, most = zero, zero, lowest(zero)
    for i in range(x.size):
        e, tie, tiny = exp_difference(x[i], top)
        rest = add(rest, zero if tie | tiny else e)
        ties = add(ties, e if tie else zero)
        v = widen(raw[i])
        unit[i] = v
        most = max(most, key(v))
    return rest, ties, most


@njit(nogil=True, error_model="numpy")
def _add_unit(x: Any, top: Any, raw: Any, mask: Any, unit: Any) -> Any:
    """`_add_and_fetch` in blocks, for units of any lengths."""
    rest, ties, most = 0.0, 0.0, lowest(top)
    both = 0 if mask.size else min(x.size, raw.size)
    for a in range(0, both, BLOCK):
        b = min(a + BLOCK, both)
        for i in range(a + AHEAD, b + AHEAD, 16):
            prefetch(raw, i)
        r, t, m = _add_and_fetch(x[a:b], top, raw[a:b], unit[a:b])
        rest, ties, most = rest + r, ties + t, max(most, m)
    for a in range(both, x.size, BLOCK):
        r, t = _add(x[a : min(a + BLOCK, x.size)], top)
        rest, ties = rest + r, ties + t
    if mask.size:
        most = _fetch_masked(raw, mask, unit)
    elif raw.size > both:
        most = max(most, _fetch(raw[both:], unit[both : raw.size]))
    return rest, ties, most


@njit(nogil=True, error_model="numpy")
def _spread(x: Any, top: Any, weight: Any) -> Any:
    """The sums of a block that smoothing wants: ``w (top - x)`` and ``w``."""
    zero = x.dtype.type(0)
    spread, mass = zero, zero
    for i in range(x.size):
        w = weight[i]
        spread = add(spread, zero if w == zero else w * (top - x[i]))
        mass = add(mass, w)
    return spread, mass


@njit(nogil=True, error_model="numpy")
def _gap(x: Any, top: Any, weight: Any) -> Any:
    """The sum of ``w (1 - exp(x - top))`` of a block."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    gap = zero
    for i in range(x.size):
        e, _, tiny = exp_difference(x[i], top)
        gap = add(gap, weight[i] * (one - (zero if tiny else e)))
    return gap


@njit(nogil=True, error_model="numpy")
def _smoothed(x: Any, top: Any, weight: Any, poly: Any) -> Any:
    """`_spread` and, for the poly loss, `_gap` of a unit."""
    spread, mass, gap = 0.0, 0.0, 0.0
    for a in range(0, x.size, PART):
        b = min(a + PART, x.size)
        s, v = _spread(x[a:b], top, weight[a:b])
        spread, mass = spread + s, mass + v
        if poly:
            gap += _gap(x[a:b], top, weight[a:b])
    return spread, mass, gap


@njit(nogil=True, error_model="numpy")
def _coefficients(t: Any, class_weight: Any, weights: Any, keep: Any, out: Any) -> Any:
    """What the labels of a block weigh: those after smoothing, times the class weights."""
    for i in range(t.size):
        b = keep * t[i]
        if class_weight.size:
            b = b * class_weight[i]
        if weights.size:
            b = b + weights[i]
        out[i] = b


@njit(nogil=True, error_model="numpy")
def _labelled(
    x: Any, top: Any, t: Any, class_weight: Any, weights: Any, keep: Any, poly: Any, block: Any
) -> Any:
    """`_smoothed` with the labels of a distribution."""
    spread, mass, gap = 0.0, 0.0, 0.0
    for a in range(0, x.size, PART):
        b = min(a + PART, x.size)
        w = block[: b - a]
        _coefficients(t[a:b], class_weight[a:b], weights[a:b], keep, w)
        s, v = _spread(x[a:b], top, w)
        spread, mass = spread + s, mass + v
        if poly:
            gap += _gap(x[a:b], top, w)
    return spread, mass, gap


@njit(nogil=True, error_model="numpy")
def _exp(x: Any, top: Any) -> Any:
    """``exp(x - top)`` of the unrounded difference, as `exp_difference`."""
    z = x - top
    back = z - x
    lost = (x - (z - back)) - (top + back)
    return math.exp(z) * (1.0 + lost) if math.isfinite(z) else math.exp(z)


@njit(nogil=True, error_model="numpy")
def _merge(one: Any, other: Any) -> Any:
    """The sums of two parts of a row, from the larger of their maxima."""
    low, high = (one, other) if other.top > one.top else (other, one)
    drop = high.top - low.top if low.top != -np.inf else np.inf
    f = _exp(low.top, high.top) if drop != np.inf else 0.0
    gap = low.gap
    if drop != 0 and low.mass != 0:
        gap = f * low.gap - low.mass * math.expm1(-drop)
    return _Sums(
        high.top,
        high.rest + (low.rest + 1.0) * f,
        high.spread + low.spread + (drop * low.mass if low.mass != 0 else 0.0),
        high.mass + low.mass,
        high.gap + gap,
    )


@njit(nogil=True, error_model="numpy")
def _row(
    x: Any,
    t: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    numbers: Any,
    r: Any,
    after: Any,
    most: Any,
    units: Any,
    current: Any,
) -> Any:
    """The sums of row ``r``; meanwhile the first unit of row ``after`` is fetched."""
    n, real = x.shape[1], units.dtype.type
    sums = _Sums(-np.inf, -1.0, 0.0, 0.0, 0.0)
    spare = np.empty(PART if t.size else 0, units.dtype)
    for a in range(0, n, UNIT):
        b = min(a + UNIT, n)
        c, next_r = (b, r) if b < n else (0, after)
        d = min(c + UNIT, n)
        top, unit = from_key(most), units[current, : b - a]
        part = mask[next_r % mask.shape[0], c:d]
        # A unit of nothing but -inf adds nothing; it counts from 0, not from itself.
        base = real(0) if top == -np.inf else top
        rest, ties, most = _add_unit(unit, base, x[next_r, c:d], part, units[1 - current])
        spread, mass, gap = 0.0, 0.0, 0.0
        w, poly = weights[r % weights.shape[0], a:b], numbers.epsilon != 0
        if t.size:
            keep, v = real(1.0 - numbers.smoothing), class_weight[a:b]
            spread, mass, gap = _labelled(unit, base, t[r, a:b], v, w, keep, poly, spare)
        elif weights.size:
            spread, mass, gap = _smoothed(unit, base, w, poly)
        found = _Sums(np.float64(top), rest + (ties - 1.0), spread, mass, gap)
        sums = found if a == 0 else _merge(sums, found)
        current = 1 - current
    return sums, most, current


@njit(nogil=True, error_model="numpy")
def _miss(sums: Any, total: Any) -> Any:
    """The sum of ``w (1 - p)``."""
    return (sums.gap + sums.rest * sums.mass) / total


@njit(nogil=True, error_model="numpy")
def _z_loss(lse: Any, numbers: Any) -> Any:
    # The square may overflow.
    return numbers.z_loss * (lse * lse) if numbers.z_loss != 0 else 0.0


@njit(nogil=True, error_model="numpy")
def _has_softmax(sums: Any) -> Any:
    return sums.rest == sums.rest and sums.top != -np.inf


@njit(nogil=True, error_model="numpy")
def _next(scale: Any, r: Any, stop: Any) -> Any:
    """The next row that is not left out; the last where there is none."""
    while scale.size and r < stop - 1 and scale[r] == 0:
        r += 1
    return min(r, stop - 1)


# --- index labels -----------------------------------------------------------------------------


class _Slopes(NamedTuple):
    """The gradient of a row: ``a e - w (1 + c e)`` with ``e = exp(x - top)``, ``own`` at the label.

    ``w`` are the weights that smoothing spreads.
    """

    top: float
    a: float
    c: float
    own: float


@njit(nogil=True, error_model="numpy")
def _index_loss(sums: Any, x_y: Any, weight: Any, share: Any, numbers: Any) -> Any:
    """The loss of a row, with the weight of its label and the share that smoothing gives it."""
    total, log_rest = 1.0 + sums.rest, math.log1p(sums.rest)
    drop = sums.top - x_y
    e_y = _exp(x_y, sums.top)
    p, q = e_y / total, ((1.0 - e_y) + sums.rest) / total
    surprise, lse = log_rest + drop, sums.top + log_rest
    if numbers.gamma >= 0:
        power = q**numbers.gamma
        cost = power * surprise if power != 0 else 0.0
        ratio = (p * surprise if p != 0 else 0.0) / q if q != 0 else 1.0
        slope = power * (1.0 + numbers.gamma * ratio)
    else:
        cost, slope = surprise + numbers.epsilon * q, 1.0 + numbers.epsilon * p
    miss, keep = _miss(sums, total), (1.0 - numbers.smoothing) * weight
    loss = (keep * cost if keep != 0 else 0.0) + _z_loss(lse, numbers)
    if sums.mass != 0:
        loss += sums.mass * log_rest + sums.spread + numbers.epsilon * miss
    others = 2.0 * numbers.z_loss * lse + (sums.mass + numbers.epsilon * (sums.mass - miss))
    own = p * others - (keep * slope) * q - share * (1.0 + numbers.epsilon * p)
    return loss, _Slopes(sums.top, (others + keep * slope) / total, numbers.epsilon / total, own)


@njit(nogil=True, error_model="numpy")
def _write(raw: Any, top: Any, a: Any, out: Any) -> Any:
    zero = top - top
    for i in range(raw.size):
        e, _, tiny = exp_difference(widen(raw[i]), top)
        out[i] = narrow_to(zero if tiny else a * e, out[i])


@njit(nogil=True, error_model="numpy")
def _write_smoothed(raw: Any, top: Any, a: Any, c: Any, scale: Any, weights: Any, out: Any) -> Any:
    zero = top - top
    for i in range(raw.size):
        e, _, tiny = exp_difference(widen(raw[i]), top)
        e = zero if tiny else e
        w = scale * weights[i]
        out[i] = narrow_to(a * e - (w + w * (c * e)), out[i])


@njit(nogil=True, error_model="numpy")
def _mask(mask: Any, out: Any) -> Any:
    for i in range(out.size):
        out[i] = out[i] if mask[i] else out.dtype.type(0)


@njit(nogil=True, error_model="numpy")
def _index_gradient(
    x: Any,
    label: Any,
    weights: Any,
    mask: Any,
    slopes: Any,
    scale: Any,
    like: Any,
    spare: Any,
    out: Any,
) -> Any:
    real = like.dtype.type
    top, a, c = real(slopes.top), real(scale * slopes.a), real(slopes.c)
    step = spare.size or x.size
    for i in range(0, x.size, step):
        j = min(i + step, x.size)
        target = spare[: j - i] if spare.size else out[i:j]
        if weights.size:
            _write_smoothed(x[i:j], top, a, c, real(scale), weights[i:j], target)
        else:
            _write(x[i:j], top, a, target)
        if spare.size:
            store(target, out[i:j])
    if mask.size:
        _mask(mask, out)
    if 0 <= label < x.size and (not mask.size or mask[label]):
        out[label] = narrow_to(real(scale * slopes.own), out[label])


@njit(nogil=True, error_model="numpy", cache=True)
def index_rows(
    x: Any,
    labels: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    options: Any,
    scale: Any,
    upstream: Any,
    losses: Any,
    saved: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Losses of rows ``start`` to ``stop``; what their gradients need, or these themselves.

    An array of size 0 stands for one that is not given or not wanted.

    Parameters
    ----------
    x : array, shape (N, C)
        Logits, half precision as its bits.
    labels : array, int64, shape (N,)
        Indices; wrong ones give NaN.
    class_weight : array, shape (C,)
        Of the labels, in the compute dtype.
    weights : array, shape (N or 1, C)
        What smoothing gives each class, in the compute dtype.
    mask : array, bool, shape (N or 1, C)
        The classes kept.
    options : tuple of float
        The `Numbers`, plain: the cache on disk must not name a class that may move.
    scale : array, float64, shape (N,)
        Of the examples; 0 leaves a row out, unread.
    upstream : float
        The cotangent of all losses, for ``out``.
    losses : array, shape (N,)
        To be written, in the compute dtype.
    saved : array, float64, shape (N, 4)
        To be written, for `index_gradients`.
    out : array, shape (N, C)
        The gradient, to be written, in the dtype of ``x``.
    """
    numbers = Numbers(options[0], options[1], options[2], options[3])
    n = x.shape[1]
    units = np.empty((2, min(UNIT, n)), losses.dtype)
    none, spare = units[:1, :0], apart(x, out, BLOCK)
    current, r = 0, _next(scale, start, stop)
    if mask.size:
        most = _fetch_masked(x[r, :UNIT], mask[r % mask.shape[0], :UNIT], units[0])
    else:
        most = _fetch(x[r, :UNIT], units[0])
    for r in range(start, stop):
        s = scale[r] if scale.size else 1.0
        if s == 0:
            losses[r] = 0
            if out.size:
                out[r] = 0
            continue
        after = _next(scale, r + 1, stop)
        sums, most, current = _row(
            x, none, class_weight, weights, mask, numbers, r, after, most, units, current
        )
        y = labels[r]
        x_y, weight, share = np.nan, 1.0, 0.0
        if 0 <= y < n:
            x_y = np.float64(widen(x[r, y]))
            if mask.size and not mask[r % mask.shape[0], y]:
                x_y = -np.inf
            if class_weight.size:
                weight = np.float64(class_weight[y])
            if weights.size:
                share = np.float64(weights[r % weights.shape[0], y])
        loss, slopes = _index_loss(sums, x_y, weight, share, numbers)
        if not _has_softmax(sums) or x_y != x_y:
            loss, slopes = np.nan, _Slopes(np.nan, np.nan, np.nan, np.nan)
        losses[r] = s * loss
        if saved.size:
            for i in range(4):
                saved[r, i] = slopes[i]
        if out.size:
            own, kept = weights[r % weights.shape[0]], mask[r % mask.shape[0]]
            _index_gradient(x[r], y, own, kept, slopes, s * upstream, units, spare, out[r])


@njit(nogil=True, error_model="numpy", cache=True)
def index_gradients(
    x: Any,
    labels: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    options: Any,
    scale: Any,
    saved: Any,
    like: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """The gradients of rows ``start`` to ``stop``, each times its ``scale``; as in `index_rows`."""
    spare = apart(x, out, BLOCK)
    for r in range(start, stop):
        if scale[r] == 0:
            out[r] = 0
            continue
        slopes = _Slopes(saved[r, 0], saved[r, 1], saved[r, 2], saved[r, 3])
        own, kept = weights[r % weights.shape[0]], mask[r % mask.shape[0]]
        _index_gradient(x[r], labels[r], own, kept, slopes, scale[r], like, spare, out[r])


# --- distributions ----------------------------------------------------------------------------


class _Slants(NamedTuple):
    """The gradient of a row: ``p (a + z - own) - own q`` with ``own = b[c] (1 + epsilon p[c])``."""

    top: float
    rest: float
    a: float
    z: float


@njit(nogil=True, error_model="numpy")
def _dense_loss(sums: Any, numbers: Any) -> Any:
    total, log_rest = 1.0 + sums.rest, math.log1p(sums.rest)
    lse, miss = sums.top + log_rest, _miss(sums, total)
    loss = _z_loss(lse, numbers)
    # A row without labels is not 0 * inf.
    if sums.mass != 0 or sums.spread != 0:
        loss += sums.mass * log_rest + sums.spread + numbers.epsilon * miss
    a = sums.mass + numbers.epsilon * (sums.mass - miss)
    return loss, _Slants(sums.top, sums.rest, a, 2.0 * numbers.z_loss * lse)


@njit(nogil=True, error_model="numpy")
def _write_dense(
    raw: Any,
    b: Any,
    one: Any,
    top: Any,
    rest: Any,
    a: Any,
    z: Any,
    epsilon: Any,
    scale: Any,
    out: Any,
) -> Any:
    zero = rest - rest
    inverse = one / (one + rest)
    for i in range(raw.size):
        e, _, tiny = exp_difference(widen(raw[i]), top)
        e = zero if tiny else e
        p, q = e * inverse, ((one - e) + rest) * inverse
        own = b[i] + b[i] * (epsilon * p)
        out[i] = narrow_to(scale * (p * ((a - own) + z) - own * q), out[i])


@njit(nogil=True, error_model="numpy")
def _dense_gradient(
    x: Any,
    t: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    numbers: Any,
    slants: Any,
    scale: Any,
    block: Any,
    spare: Any,
    out: Any,
) -> Any:
    real = block.dtype.type
    keep, epsilon = real(1.0 - numbers.smoothing), real(numbers.epsilon)
    top, rest, a, z = real(slants.top), real(slants.rest), real(slants.a), real(slants.z)
    for i in range(0, x.size, BLOCK):
        j = min(i + BLOCK, x.size)
        b = block[: j - i]
        _coefficients(t[i:j], class_weight[i:j], weights[i:j], keep, b)
        target = spare[: j - i] if spare.size else out[i:j]
        _write_dense(x[i:j], b, real(1.0), top, rest, a, z, epsilon, real(scale), target)
        if spare.size:
            store(target, out[i:j])
    if mask.size:
        _mask(mask, out)


@njit(nogil=True, error_model="numpy", cache=True)
def dense_rows(
    x: Any,
    t: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    options: Any,
    scale: Any,
    upstream: Any,
    losses: Any,
    saved: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """`index_rows` for distributions ``t``, shape (N, C), in the compute dtype."""
    numbers = Numbers(options[0], options[1], options[2], options[3])
    n = x.shape[1]
    units = np.empty((2, min(UNIT, n)), losses.dtype)
    block, spare = np.empty(BLOCK, losses.dtype), apart(x, out, BLOCK)
    current, r = 0, _next(scale, start, stop)
    if mask.size:
        most = _fetch_masked(x[r, :UNIT], mask[r % mask.shape[0], :UNIT], units[0])
    else:
        most = _fetch(x[r, :UNIT], units[0])
    for r in range(start, stop):
        s = scale[r] if scale.size else 1.0
        if s == 0:
            losses[r] = 0
            if out.size:
                out[r] = 0
            continue
        after = _next(scale, r + 1, stop)
        sums, most, current = _row(
            x, t, class_weight, weights, mask, numbers, r, after, most, units, current
        )
        loss, slants = _dense_loss(sums, numbers)
        if not _has_softmax(sums):
            loss, slants = np.nan, _Slants(np.nan, np.nan, np.nan, np.nan)
        losses[r] = s * loss
        if saved.size:
            for i in range(4):
                saved[r, i] = slants[i]
        if out.size:
            w, kept = weights[r % weights.shape[0]], mask[r % mask.shape[0]]
            s *= upstream
            _dense_gradient(
                x[r], t[r], class_weight, w, kept, numbers, slants, s, block, spare, out[r]
            )


@njit(nogil=True, error_model="numpy", cache=True)
def dense_gradients(
    x: Any,
    t: Any,
    class_weight: Any,
    weights: Any,
    mask: Any,
    options: Any,
    scale: Any,
    saved: Any,
    like: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """The gradients of rows ``start`` to ``stop``, each times its ``scale``; as in `dense_rows`."""
    numbers = Numbers(options[0], options[1], options[2], options[3])
    block, spare = np.empty(BLOCK, like.dtype), apart(x, out, BLOCK)
    for r in range(start, stop):
        if scale[r] == 0:
            out[r] = 0
            continue
        slants = _Slants(saved[r, 0], saved[r, 1], saved[r, 2], saved[r, 3])
        w, kept = weights[r % weights.shape[0]], mask[r % mask.shape[0]]
        _dense_gradient(
            x[r], t[r], class_weight, w, kept, numbers, slants, scale[r], block, spare, out[r]
        )
