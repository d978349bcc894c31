"""The sums of the exponentials of a row, in one read of the logits.

A row is read in units that fit the first-level cache: their maximum is taken, and the exponentials
are added up while the memory of the next unit is on its way. Each unit counts from its own maximum;
brought to that of the row, in float64, its sum loses nothing.

Rows of one unit are done some at a time. Exponentials stay for the gradient, each counted from the
maximum of its unit.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .elementary import exp_difference
from .layout import (
    BLOCK,
    allocate,
    given_of,
    is_short,
    padded,
    rows_at_once,
    scratch_of,
    start_of,
    unit_of,
)
from .machine import (
    add,
    cast,
    entry,
    greater,
    helper,
    inlined,
    per_line,
    pointer,
    prefetch,
    shifted,
    widen,
)

__all__ = [
    "PART",
    "cover",
    "exponentials",
    "fetch",
    "gather",
    "labeled",
    "labels_of",
    "maximum",
    "most_of",
    "plus",
    "row_sums",
    "sums",
    "weights_of",
    "whole",
    "z_loss",
]

PART = 256
"""Numbers that are added up in their own precision, where one may outweigh the others by far."""


# --- units ------------------------------------------------------------------------------------


@helper
def _load(x: Any, count: Any, low: Any, unit: Any) -> Any:
    """Copy numbers, widened, and fill up with -inf; returns their maximum."""
    most = low
    for i in range(count):
        v = widen(x[i])
        unit[i] = v
        most = greater(v, most)
    for i in range(count, padded(count)):
        unit[i] = low
    return most


@helper
def cover(mask: Any, count: Any, low: Any, unit: Any) -> Any:
    """-inf where masked; returns the maximum."""
    most = low
    for i in range(count):
        unit[i] = unit[i] if mask[i] != 0 else low
        most = greater(unit[i], most)
    return most


@inlined
def fetch(given: Any, r: Any, a: Any, count: Any, low: Any, unit: Any) -> Any:
    """Load a unit of a row, from class ``a`` on; returns its maximum."""
    most = _load(shifted(given.x, start_of(given, r) + a), count, low, unit)
    if given.masks:
        most = cover(shifted(given.mask, r % given.masks * given.n + a), count, low, unit)
    return most


@helper
def gather(x: Any, starts: Any, step: Any, n: Any, first: Any, m: Any, low: Any, units: Any) -> Any:
    """Load some rows whose classes lie apart, the rows side by side."""
    stride, others = padded(n), 0
    for i in range(m):
        others += starts[first + i] - starts[first] != i
    for j in range(n):
        column = shifted(x, starts[first] + j * step)
        if others == 0:
            for i in range(m):
                units[i * stride + j] = widen(column[i])
        else:
            for i in range(m):
                column = shifted(x, starts[first + i] + j * step)
                units[i * stride + j] = widen(column[0])
    for i in range(m):
        for j in range(n, stride):
            units[i * stride + j] = low


@helper
def most_of(unit: Any, count: Any, low: Any) -> Any:
    """The maximum of some numbers that are more than ``low``."""
    most = low
    for i in range(count):
        most = greater(unit[i], most)
    return most


@helper
def plus(total: Any, lost: Any, x: Any) -> Any:
    """``total + x``, and what all additions lost to rounding."""
    after = total + x
    back = after - total
    return after, lost + ((total - (after - back)) + (x - back))


@helper
def whole(total: Any, lost: Any) -> Any:
    """Their sum; of infinite terms what is lost is NaN."""
    return total + lost if lost == lost else total


@helper
def maximum(given: Any, r: Any, low: Any, unit: Any) -> Any:
    """The maximum of a row, in float64, which is loaded unless its classes lie apart."""
    if given.step == 1:
        top = fetch(given, r, 0, given.n, low, unit)
    elif given.masks:
        top = cover(shifted(given.mask, r % given.masks * given.n), given.n, low, unit)
    else:
        top = most_of(unit, given.n, low)
    return np.float64(top)


@helper
def _add(unit: Any, count: Any, top: Any, one: Any) -> Any:
    """Add up exponentials: those below 1, and those that are 1, or NaN."""
    zero = one - one
    rest, ties = zero, zero
    for i in range(count):
        e = exp_difference(unit[i], top)
        rest = add(rest, e if e < one else zero)
        ties = add(ties, zero if e < one else e)
    return rest, ties


@helper
def _add_and_keep(unit: Any, count: Any, top: Any, one: Any, kept: Any) -> Any:
    """The same, and keep them."""
    zero = one - one
    rest, ties = zero, zero
    for i in range(count):
        e = exp_difference(unit[i], top)
        kept[i] = e
        rest = add(rest, e if e < one else zero)
        ties = add(ties, zero if e < one else e)
    return rest, ties


@helper
def exponentials(x: Any, count: Any, top: Any, e: Any) -> Any:
    """Write ``exp(x - top)`` of a block."""
    for i in range(count):
        e[i] = exp_difference(widen(x[i]), top)


@inlined
def labels_of(given: Any, r: Any, i: Any, a: Any, scratch: Any) -> Any:
    """The distribution of row ``r``, of which scratch has number ``i``, from class ``a`` on."""
    found = shifted(scratch.t, i * padded(given.n) + a)
    if given.t_step == 1:
        found = shifted(given.t, (given.t_starts[r] if given.t_started else r * given.n) + a)
    return found


@helper
def labeled(given: Any, r: Any, a: Any, t: Any, count: Any, one: Any, out: Any) -> Any:
    """Write distributions after smoothing, times the class weights."""
    keep, share = cast(1.0 - given.smoothing, one), shifted(given.shares, 0)
    if not given.even:
        share = shifted(given.shares, (r % given.sharing if given.sharing else 0) * given.n + a)
    class_weight = shifted(given.class_weight, a)
    for i in range(count):
        w = keep * t[i]
        if given.weighted:
            w = w * class_weight[i]
        if given.sharing:
            w = w + share[0 if given.even else i]
        out[i] = w


@inlined
def weights_of(given: Any, r: Any, i: Any, a: Any, count: Any, scratch: Any) -> Any:
    """What the labels of a block of a row weigh, from class ``a`` on, that at an index left out.

    These are the labels after smoothing, times the class weights.
    """
    found = scratch.spare
    if not given.dense and not given.even:
        found = shifted(given.shares, r % given.sharing * given.n + a)
    elif given.dense and not (given.weighted or given.sharing):
        found = labels_of(given, r, i, a, scratch)
    elif given.dense:
        t = labels_of(given, r, i, a, scratch)
        labeled(given, r, a, t, count, scratch.one, found)
    return found


@helper
def _spread(x: Any, count: Any, top: Any, one: Any, weight: Any) -> Any:
    """The sums of a block: ``w (top - x)`` and ``w``."""
    zero = one - one
    spread, mass = zero, zero
    for i in range(count):
        w = weight[i]
        spread = add(spread, zero if w == zero else w * (top - x[i]))
        mass = add(mass, w)
    return spread, mass


@helper
def _drop(x: Any, count: Any, top: Any, one: Any) -> Any:
    """The sum of ``top - x`` of a block."""
    drop = one - one
    for i in range(count):
        drop = add(drop, top - x[i])
    return drop


@helper
def _gap(x: Any, count: Any, top: Any, one: Any, weight: Any) -> Any:
    """The sum of ``w (1 - exp(x - top))`` of a block."""
    gap = one - one
    for i in range(count):
        gap = add(gap, weight[i] * (one - exp_difference(x[i], top)))
    return gap


@helper
def _weigh(
    given: Any, first: Any, i: Any, a: Any, x: Any, count: Any, top: Any, scratch: Any
) -> Any:
    """``spread``, ``mass`` and ``gap`` of the numbers of row ``first + i`` from class ``a`` on."""
    spread, mass, gap, one = 0.0, 0.0, 0.0, scratch.one
    if given.even and not given.dense and given.epsilon == 0:
        share = np.float64(given.shares[0])
        for b in range(0, count if share != 0 else 0, BLOCK):
            spread += _drop(shifted(x, b), min(BLOCK, count - b), top, one)
        return share * spread, share * count, gap
    for b in range(0, count, PART):
        size, block = min(PART, count - b), shifted(x, b)
        w = weights_of(given, first + i, i, a + b, size, scratch)
        s, v = _spread(block, size, top, one, w)
        spread, mass = spread + s, mass + v
        if given.epsilon != 0:
            gap += _gap(block, size, top, one, w)
    return spread, mass, gap


# --- rows -------------------------------------------------------------------------------------


@inlined
def _stride(x: Any) -> Any:
    """Numbers from one prefetch to the next: a cache line, or half of one, which is faster."""
    return min(per_line(x), 16)


@inlined
def _short_sums(given: Any, first: Any, m: Any, keep: Any, scratch: Any) -> Any:
    """The sums of rows of one unit. All are loaded first: what was just written is slow to read."""
    n, stride, one = given.n, padded(given.n), scratch.one
    zero, low = one - one, cast(-np.inf, one)
    if given.step != 1:
        gather(given.x, given.starts, given.step, n, first, m, low, scratch.unit)
    if given.dense and given.t_step != 1:
        gather(given.t, given.t_starts, given.t_step, n, first, m, zero, scratch.t)
    for i in range(m):
        unit = shifted(scratch.unit, i * stride)
        left_out = given.scaled and given.scale[first + i] == 0
        scratch.top[i] = 0.0 if left_out else maximum(given, first + i, low, unit)
    for i in range(m):
        # A row of nothing but -inf counts from 0, not from itself.
        top = zero if scratch.top[i] == -np.inf else cast(scratch.top[i], one)
        unit, e = shifted(scratch.unit, i * stride), shifted(scratch.e, i * stride)
        rest, ties = 0.0, 0.0
        for a in range(0, stride, BLOCK):
            size, block = min(BLOCK, stride - a), shifted(unit, a)
            for j in range(a, a + size, _stride(given.x)):
                prefetch(given.x, start_of(given, first + i) + m * n + j)
            if keep:
                r, t = _add_and_keep(block, size, top, one, shifted(e, a))
            else:
                r, t = _add(block, size, top, one)
            rest, ties = rest + r, ties + t
        scratch.rest[i] = rest + (ties - 1.0)
        if given.dense or given.sharing:
            spread, mass, gap = _weigh(given, first, i, np.int64(0), unit, n, top, scratch)
            scratch.spread[i], scratch.mass[i], scratch.gap[i] = spread, mass, gap


@inlined
def _long_sums(given: Any, r: Any, keep: Any, scratch: Any) -> Any:
    """The sums of a row of several units."""
    n, one, unit, length = given.n, scratch.one, scratch.unit, unit_of(given)
    low, row = cast(-np.inf, one), shifted(given.x, start_of(given, r))
    for a in range(0, n, length):
        count = min(length, n - a)
        top = fetch(given, r, a, count, low, unit)
        # A unit of nothing but -inf adds nothing; it counts from 0, not from itself.
        base = one - one if top == low else top
        scratch.bases[a // length] = top
        rest, ties = 0.0, 0.0
        for b in range(0, padded(count), BLOCK):
            size = min(BLOCK, padded(count) - b)
            for i in range(a + count + b, a + count + b + size, _stride(row)):
                prefetch(row, i)
            block = shifted(unit, b)
            if keep:
                s, t = _add_and_keep(block, size, base, one, shifted(scratch.e, a + b))
            else:
                s, t = _add(block, size, base, one)
            rest, ties = rest + s, ties + t
        spread, mass, gap = 0.0, 0.0, 0.0
        if given.dense or given.sharing:
            spread, mass, gap = _weigh(given, r, np.int64(0), a, unit, count, base, scratch)
        _merge(scratch, a == 0, np.float64(top), rest + (ties - 1.0), spread, mass, gap)
    scratch.rest[0] = whole(scratch.rest[0], scratch.lost[0])
    scratch.spread[0] = whole(scratch.spread[0], scratch.spread_lost[0])
    scratch.mass[0] = whole(scratch.mass[0], scratch.mass_lost[0])


@helper
def _merge(sums: Any, is_first: Any, top: Any, rest: Any, spread: Any, mass: Any, gap: Any) -> Any:
    """Add the sums of a unit to those of its row, both from the larger of the maxima."""
    if is_first:
        sums.top[0], sums.rest[0], sums.spread[0] = top, rest, spread
        sums.mass[0], sums.gap[0], sums.lost[0] = mass, gap, 0.0
        sums.spread_lost[0], sums.mass_lost[0] = 0.0, 0.0
        return
    low, low_rest, low_mass, low_gap, low_lost = top, rest, mass, gap, 0.0
    if top > sums.top[0]:
        low, low_rest, low_mass, low_gap = sums.top[0], sums.rest[0], sums.mass[0], sums.gap[0]
        low_lost = sums.lost[0]
        sums.top[0], sums.rest[0], sums.mass[0], sums.gap[0] = top, rest, mass, gap
        sums.lost[0] = 0.0
    drop = sums.top[0] - low if low != -np.inf else np.inf
    f = exp_difference(low, sums.top[0]) if drop != np.inf else 0.0
    if drop != 0 and low_mass != 0:
        low_gap = f * low_gap - low_mass * math.expm1(-drop)
    more = (low_rest + 1.0) * f
    sums.rest[0], sums.lost[0] = plus(sums.rest[0], sums.lost[0] + f * low_lost, more)
    more = spread + (drop * low_mass if low_mass != 0 else 0.0)
    sums.spread[0], sums.spread_lost[0] = plus(sums.spread[0], sums.spread_lost[0], more)
    sums.mass[0], sums.mass_lost[0] = plus(sums.mass[0], sums.mass_lost[0], low_mass)
    sums.gap[0] += low_gap


@helper
def row_sums(given: Any, first: Any, m: Any, keep: Any, scratch: Any) -> Any:
    """The sums of some rows; with ``keep`` also their exponentials.

    What they are of rows that are left out says nothing.
    """
    for i in range(m):
        scratch.spread[i], scratch.mass[i], scratch.gap[i] = 0.0, 0.0, 0.0
    if is_short(given):
        _short_sums(given, first, m, keep, scratch)
    elif not given.scaled or given.scale[first] != 0:
        _long_sums(given, first, keep, scratch)


@inlined
def z_loss(lse: Any, given: Any) -> Any:
    """``z_loss lse^2``."""
    # The square may overflow.
    return given.z_loss * (lse * lse) if given.z_loss != 0 else 0.0


@entry
def sums(one: Any, call: Any, out: Any, rows: Any, start: Any, stop: Any) -> Any:
    """Write ``top``, ``rest``, ``spread`` and ``mass`` of rows ``start`` to ``stop``.

    ``out`` is the address of float64 numbers, of shape (4, ``rows``).
    """
    given, step = given_of(one, call), rows_at_once(given_of(one, call), stop - start)
    memory = allocate(given, step, False)
    scratch, found = scratch_of(memory, given, step, False, one), pointer(out, given.smoothing)
    for first in range(start, stop, step):
        m = min(step, stop - first)
        row_sums(given, first, m, False, scratch)
        for i in range(m):
            found[first + i] = scratch.top[i]
            found[rows + first + i] = scratch.rest[i]
            found[2 * rows + first + i] = scratch.spread[i]
            found[3 * rows + first + i] = scratch.mass[i]
    # The memory lives until it is asked for its size.
    return 0 if memory.size else 1
