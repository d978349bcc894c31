"""The sums of the exponentials of a row, in one read of the logits.

A row is read in units that fit the first-level cache: their maximum is taken, and the exponentials
are added up while the memory of the next unit is on its way. Each unit counts from its own maximum;
brought to that of the row, in float64, its sum loses nothing.

Rows of one unit are done some at a time. Exponentials stay for the gradient, each counted from the
maximum of its unit.

Arrays are known by their addresses: to unbox one takes as long as ten short rows, to count its
references as long as one, and one that is read-only would be compiled for anew.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .elementary import (
    add,
    cast,
    exp_difference,
    greater,
    helper,
    inlined,
    pointer,
    prefetch,
    shifted,
    widen,
)

__all__ = [
    "BLOCK",
    "UNIT",
    "Given",
    "Scratch",
    "allocate",
    "exponentials",
    "factor_of",
    "fill",
    "given_of",
    "is_short",
    "may_keep",
    "padded",
    "row_sums",
    "rows_at_once",
    "scratch_of",
    "start_of",
    "weights_of",
]

UNIT = 4096
"""Numbers in a unit."""
ROWS = 256
"""Rows that are done at once, at most; together they are no more than a unit."""
KEPT = 2**17
"""Exponentials of a longer row do not stay in the second-level cache: they are computed again."""
BLOCK = 1024
"""Numbers that are added up in their own precision; the sums of blocks are added in float64."""
PART = 256
"""The same where one label may outweigh the others by far."""


class Given(NamedTuple):
    """The arguments of a call, by pointers; those that are not given must not be read."""

    x: Any  # the memory of the logits, half precision as its bits
    starts: Any  # of the rows in it, int64, where they do not follow one another
    started: Any
    step: Any  # from one class to the next
    n: Any  # classes
    labels: Any  # indices, int64
    t: Any  # distributions, in the compute dtype
    dense: Any
    t_starts: Any  # as those of the logits
    t_started: Any
    t_step: Any
    class_weight: Any  # (C,), in the compute dtype
    weighted: Any
    shares: Any  # what smoothing gives each class, (sharing, C), in the compute dtype
    sharing: Any  # N, 1, or 0
    even: Any  # whether it is one number for all
    mask: Any  # the classes kept, (masks, C)
    masks: Any  # N, 1, or 0
    scale: Any  # of the examples, float64; 0 leaves one out
    scaled: Any
    smoothing: Any
    z_loss: Any
    epsilon: Any
    gamma: Any


@inlined
def given_of(one: Any, call: Any) -> Any:
    """The arguments by name, of a tuple of addresses and numbers; address 0 is not given.

    ``one`` is 1 in the dtype of the logits.
    """
    x, starts, step, n, labels, t, t_starts, t_step = call[:8]
    class_weight, shares, sharing, even, mask, masks, scale = call[8:15]
    smoothing, z_loss, epsilon, gamma = call[15:]
    real = widen(one)
    return Given(
        pointer(x, one),
        pointer(starts, n),
        starts != 0,
        step,
        n,
        pointer(labels, n),
        pointer(t, real),
        t != 0,
        pointer(t_starts, n),
        t_starts != 0,
        t_step,
        pointer(class_weight, real),
        class_weight != 0,
        pointer(shares, real),
        sharing,
        even,
        pointer(mask, np.uint8(0)),
        masks,
        pointer(scale, smoothing),
        scale != 0,
        smoothing,
        z_loss,
        epsilon,
        gamma,
    )


class Scratch(NamedTuple):
    """The memory of one thread, by pointers; what there is of each row has its number."""

    unit: Any  # the logits of some rows, in the compute dtype
    e: Any  # their exponentials, those of a whole row, or those of a block
    spare: Any  # what the labels weigh
    t: Any  # the distributions of some rows whose classes lie apart
    one: Any  # in the compute dtype
    bases: Any  # what the exponentials of each unit of a long row are counted from, float64
    top: Any  # the maximum of each row, float64 like all that follow
    rest: Any  # the sum of exp(x - top), without one maximum
    spread: Any  # of w (top - x)
    mass: Any  # of w
    gap: Any  # of w (1 - exp(x - top))
    label: Any  # the logit at the label
    weight: Any  # its weight
    share: Any  # what smoothing gives it
    slopes: Any  # what the gradient needs, four numbers a row
    losses: Any
    cotangent: Any


@inlined
def padded(n: Any) -> Any:
    """A length that vectors fill."""
    return (n + 15) // 16 * 16


@inlined
def rows_at_once(n: Any, rows: Any) -> Any:
    """How many rows of ``n`` classes are done at once."""
    return min(rows, ROWS, max(UNIT // padded(n), 1))


@inlined
def _size(n: Any, step: Any) -> Any:
    return max(step * padded(min(n, UNIT)), BLOCK)


@inlined
def allocate(given: Any, step: Any, keep: Any) -> Any:
    """Memory for a `Scratch`; it must be held as long. With ``keep`` exponentials are to stay."""
    size = _size(given.n, step)
    kept = padded(given.n) if keep and not is_short(given) else 0
    apart = size if given.dense and given.t_step != 1 else 0
    return np.empty(14 * step + KEPT // UNIT + apart + 2 * size + max(kept, size))


@inlined
def scratch_of(memory: Any, given: Any, step: Any, one: Any) -> Any:
    """The parts of what was allocated."""
    real = widen(one)
    bases, size = pointer(memory, 0.0), _size(given.n, step)
    apart = size if given.dense and given.t_step != 1 else 0
    each = shifted(bases, KEPT // UNIT)
    numbers = pointer(memory[KEPT // UNIT + 14 * step :], real)
    return Scratch(
        numbers,
        shifted(numbers, 2 * size + apart),
        shifted(numbers, size),
        shifted(numbers, 2 * size),
        real,
        bases,
        each,
        shifted(each, step),
        shifted(each, 2 * step),
        shifted(each, 3 * step),
        shifted(each, 4 * step),
        shifted(each, 5 * step),
        shifted(each, 6 * step),
        shifted(each, 7 * step),
        shifted(each, 8 * step),
        shifted(each, 12 * step),
        shifted(each, 13 * step),
    )


@inlined
def is_short(given: Any) -> Any:
    """Whether a row is one unit, whose exponentials are kept."""
    return given.n <= UNIT


@inlined
def may_keep(given: Any) -> Any:
    """Whether the exponentials of a row can stay for its gradient."""
    return is_short(given) or (given.n <= KEPT and not given.dense)


@inlined
def factor_of(given: Any, i: Any, top: Any, scratch: Any) -> Any:
    """``exp(base - top)`` of the unit of class ``i``, in float64."""
    if is_short(given):
        return 1.0
    base = scratch.bases[i // UNIT]
    return 0.0 if base == -np.inf else exp_difference(base, top)


@inlined
def start_of(given: Any, r: Any) -> Any:
    """Where a row starts."""
    return given.starts[r] if given.started else r * given.n


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
def _cover(mask: Any, count: Any, low: Any, unit: Any) -> Any:
    """-inf where masked; returns the maximum."""
    most = low
    for i in range(count):
        unit[i] = unit[i] if mask[i] != 0 else low
        most = greater(unit[i], most)
    return most


@inlined
def _fetch(given: Any, r: Any, a: Any, count: Any, low: Any, unit: Any) -> Any:
    """Load a unit of a row, from class ``a`` on; returns its maximum."""
    most = _load(shifted(given.x, start_of(given, r) + a), count, low, unit)
    if given.masks:
        most = _cover(shifted(given.mask, r % given.masks * given.n + a), count, low, unit)
    return most


@helper
def _gather(
    x: Any, starts: Any, step: Any, n: Any, first: Any, m: Any, low: Any, units: Any
) -> Any:
    """Load some rows whose classes lie apart, the rows side by side."""
    stride = padded(n)
    for j in range(n):
        column = shifted(x, starts[first] + j * step)
        if starts[first + m - 1] - starts[first] == m - 1:
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
def _top(unit: Any, count: Any, low: Any) -> Any:
    most = low
    for i in range(count):
        most = greater(unit[i], most)
    return most


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
def _labels_of(given: Any, r: Any, i: Any, a: Any, scratch: Any) -> Any:
    """The distribution of row ``r``, of which scratch has number ``i``, from class ``a`` on."""
    found = shifted(scratch.t, i * padded(given.n) + a)
    if given.t_step == 1:
        found = shifted(given.t, (given.t_starts[r] if given.t_started else r * given.n) + a)
    return found


@helper
def _labelled(given: Any, r: Any, a: Any, t: Any, count: Any, one: Any, out: Any) -> Any:
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
        found = _labels_of(given, r, i, a, scratch)
    elif given.dense:
        t = _labels_of(given, r, i, a, scratch)
        _labelled(given, r, a, t, count, scratch.one, found)
    return found


@helper
def fill(value: Any, count: Any, out: Any) -> Any:
    """Write the same number everywhere."""
    for i in range(count):
        out[i] = value


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
def _short_sums(given: Any, first: Any, m: Any, keep: Any, scratch: Any) -> Any:
    """The sums of rows of one unit. All are loaded first: what was just written is slow to read."""
    n, stride, one = given.n, padded(given.n), scratch.one
    zero, low = one - one, cast(-np.inf, one)
    if given.step != 1:
        _gather(given.x, given.starts, given.step, n, first, m, low, scratch.unit)
    if given.dense and given.t_step != 1:
        _gather(given.t, given.t_starts, given.t_step, n, first, m, zero, scratch.t)
    for i in range(m):
        r, unit = first + i, shifted(scratch.unit, i * stride)
        left_out = given.scaled and given.scale[r] == 0
        if left_out:
            scratch.top[i] = 0.0
        elif given.step == 1:
            scratch.top[i] = _fetch(given, r, 0, n, low, unit)
        elif given.masks:
            mask = shifted(given.mask, r % given.masks * n)
            scratch.top[i] = _cover(mask, n, low, unit)
        else:
            scratch.top[i] = _top(unit, n, low)
    for i in range(m):
        # A row of nothing but -inf counts from 0, not from itself.
        top = zero if scratch.top[i] == -np.inf else cast(scratch.top[i], one)
        unit, e = shifted(scratch.unit, i * stride), shifted(scratch.e, i * stride)
        rest, ties = 0.0, 0.0
        for a in range(0, stride, BLOCK):
            size, block = min(BLOCK, stride - a), shifted(unit, a)
            for j in range(a, a + size, 16):
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
    n, one, unit = given.n, scratch.one, scratch.unit
    low, row = cast(-np.inf, one), shifted(given.x, start_of(given, r))
    for a in range(0, n, UNIT):
        count = min(UNIT, n - a)
        top = _fetch(given, r, a, count, low, unit)
        # A unit of nothing but -inf adds nothing; it counts from 0, not from itself.
        base = one - one if top == low else top
        scratch.bases[a // UNIT] = top
        rest, ties = 0.0, 0.0
        for b in range(0, padded(count), BLOCK):
            size = min(BLOCK, padded(count) - b)
            for i in range(a + count + b, a + count + b + size, 16):
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


@helper
def _merge(sums: Any, is_first: Any, top: Any, rest: Any, spread: Any, mass: Any, gap: Any) -> Any:
    """Add the sums of a unit to those of its row, both from the larger of the maxima."""
    if is_first:
        sums.top[0], sums.rest[0], sums.spread[0] = top, rest, spread
        sums.mass[0], sums.gap[0] = mass, gap
        return
    low, low_rest, low_mass, low_gap = top, rest, mass, gap
    if top > sums.top[0]:
        low, low_rest, low_mass, low_gap = sums.top[0], sums.rest[0], sums.mass[0], sums.gap[0]
        sums.top[0], sums.rest[0], sums.mass[0], sums.gap[0] = top, rest, mass, gap
    drop = sums.top[0] - low if low != -np.inf else np.inf
    f = exp_difference(low, sums.top[0]) if drop != np.inf else 0.0
    if drop != 0 and low_mass != 0:
        low_gap = f * low_gap - low_mass * math.expm1(-drop)
    sums.rest[0] += (low_rest + 1.0) * f
    sums.spread[0] += spread + (drop * low_mass if low_mass != 0 else 0.0)
    sums.mass[0] += low_mass
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
