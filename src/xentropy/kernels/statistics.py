"""Statistics of rows, all that are asked for in one read of the logits.

A row is read in units that fit the first-level cache. Each counts from its own maximum; brought to
that of the row, in float64, its sums lose nothing.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementary import exp_quotient, log1p_any
from .layout import LINE
from .machine import add, cast, entry, helper, inlined, pointer, shifted, widen
from .sums import PART, cover, most_of, plus, whole

__all__ = ["statistics"]

UNIT = 2048
"""Numbers of a unit."""
FEW = 64
"""Numbers whose maximum is taken before one of them is compared with the k-th so far."""


class _Given(NamedTuple):
    """The arguments of a call, by pointers; those that are not given must not be read."""

    x: Any
    n: Any
    labels: Any
    labeled: Any
    mask: Any
    masks: Any  # N, 1, or 0
    keep: Any
    ignoring: Any
    scale: Any  # in the compute dtype
    k: Any
    one: Any


class _Wanted(NamedTuple):
    """What is to be written, by pointers, and whether it is."""

    log_prob: Any
    is_log_prob: Any
    lse: Any
    is_lse: Any
    entropy: Any
    is_entropy: Any
    rank: Any
    is_rank: Any
    top_k: Any
    is_top_k: Any


class _Sums(NamedTuple):
    """Of exponentials, from the maximum: without one that is 1, and times ``-z``."""

    top: Any
    rest: Any
    rest_lost: Any
    spread: Any
    spread_lost: Any


# --- a unit -----------------------------------------------------------------------------------


@helper
def _load(x: Any, count: Any, low: Any, unit: Any) -> Any:
    """Copy numbers, widened, and fill up with -inf."""
    for i in range(count):
        unit[i] = widen(x[i])
    for i in range(count, (count + 15) // 16 * 16):
        unit[i] = low


@helper
def _holds_nan(unit: Any, count: Any, one: Any) -> Any:
    zero = one - one
    found = zero
    for i in range(count):
        found = add(found, zero if unit[i] == unit[i] else one)
    return found != zero


@helper
def _add(unit: Any, count: Any, top: Any, scale: Any, one: Any) -> Any:
    """Add up exponentials: those below 1, and those that are 1."""
    zero = one - one
    rest, ties = zero, zero
    for i in range(count):
        e = exp_quotient(unit[i], top, scale, zero)
        rest = add(rest, e if e < one else zero)
        ties = add(ties, zero if e < one else e)
    return rest, ties


@helper
def _add_with_spread(unit: Any, count: Any, top: Any, scale: Any, one: Any) -> Any:
    """The same, and those times what is below the maximum."""
    zero = one - one
    rest, ties, spread = zero, zero, zero
    for i in range(count):
        e = exp_quotient(unit[i], top, scale, zero)
        rest = add(rest, e if e < one else zero)
        ties = add(ties, zero if e < one else e)
        spread = add(spread, zero if e == zero else e * (scale * (top - unit[i])))
    return rest, ties, spread


@inlined
def _sums_of(unit: Any, count: Any, top: Any, is_spread: Any, scale: Any, one: Any) -> Any:
    """The sums of a unit, in float64."""
    base = one - one if top == -np.inf else top
    rest, ties, spread, zero = 0.0, 0.0, 0.0, one - one
    size = (count + 15) // 16 * 16
    for a in range(0, size, PART):
        part, many = shifted(unit, a), min(PART, size - a)
        if is_spread:
            r, t, s = _add_with_spread(part, many, base, scale, one)
        else:
            (r, t), s = _add(part, many, base, scale, one), zero
        rest, ties, spread = rest + r, ties + t, spread + s
    return rest + (ties - 1.0), spread


@helper
def _merge(sums: Any, top: Any, rest: Any, spread: Any, scale: Any) -> Any:
    """Add the sums of a unit to those of its row, both from the larger of the maxima."""
    if sums.top == -np.inf:
        return _Sums(top, rest, 0.0, spread, 0.0)
    if top == -np.inf:
        return sums
    high, low = _Sums(top, rest, 0.0, spread, 0.0), sums
    if top <= sums.top:
        high, low = sums, high
    f = exp_quotient(low.top, high.top, scale, 0.0)
    drop = scale * (high.top - low.top)
    mass = whole(low.rest, low.rest_lost) + 1.0
    more = f * whole(low.spread, low.spread_lost) + (f * (drop * mass) if f != 0 else 0.0)
    rest, rest_lost = plus(high.rest, high.rest_lost, f * mass)
    spread, spread_lost = plus(high.spread, high.spread_lost, more)
    return _Sums(high.top, rest, rest_lost, spread, spread_lost)


# --- orders -----------------------------------------------------------------------------------


@helper
def _before(unit: Any, count: Any, own: Any, y: Any) -> Any:
    """How many come before the label, which is class ``y`` counted from this unit."""
    found, split = 0, min(max(y, 0), count)
    for i in range(split):
        found += unit[i] >= own
    for i in range(split, count):
        found += unit[i] > own
    return found


@helper
def _before_masked(unit: Any, mask: Any, count: Any, own: Any, y: Any, is_removed: Any) -> Any:
    """The same where classes are removed, which are the last in the order."""
    found = 0
    for i in range(count):
        if mask[i] != 0:
            found += is_removed or unit[i] > own or (unit[i] == own and i < y)
        else:
            found += is_removed and i < y
    return found


@helper
def _collect(
    given: Any, unit: Any, mask: Any, count: Any, a: Any, held: Any, best: Any, at: Any
) -> Any:
    """Insert numbers of a unit into the largest so far; returns how many these are."""
    k, low = given.k, cast(-np.inf, given.one)
    for b in range(0, count, FEW):
        part, many = shifted(unit, b), min(FEW, count - b)
        if held == k and not most_of(part, many, low) > best[k - 1]:
            continue
        for i in range(many):
            v = part[i]
            if (held == k and not v > best[k - 1]) or (given.masks and mask[b + i] == 0):
                continue
            j = min(held, k - 1)
            while j > 0 and best[j - 1] < v:
                best[j], at[j] = best[j - 1], at[j - 1]
                j -= 1
            best[j], at[j] = v, a + b + i
            held = min(held + 1, k)
    return held


@helper
def _append_removed(given: Any, mask: Any, held: Any, at: Any) -> Any:
    """Classes that are removed, where too few are kept."""
    for c in range(given.n):
        if held == given.k:
            return
        if mask[c] == 0:
            at[held] = c
            held += 1


# --- rows -------------------------------------------------------------------------------------


@inlined
def _finish(given: Any, wanted: Any, r: Any, own: Any, is_nan: Any, sums: Any) -> Any:
    """Write what is made of the sums."""
    top, scale, rest = sums.top, np.float64(given.scale), whole(sums.rest, sums.rest_lost)
    bad = is_nan or abs(top) == np.inf
    log_rest = np.nan if bad else log1p_any(rest)
    if wanted.is_log_prob:
        wanted.log_prob[r] = cast(0.0 - (log_rest + scale * (top - own)), given.one)
    if wanted.is_lse:
        lse = scale * top + log_rest
        if bad and not is_nan:
            lse = top
        wanted.lse[r] = cast(lse, given.one)
    if wanted.is_entropy:
        spread = whole(sums.spread, sums.spread_lost)
        wanted.entropy[r] = cast(log_rest + spread / (1.0 + rest), given.one)


@inlined
def _ignore(given: Any, wanted: Any, r: Any) -> Any:
    zero = given.one - given.one
    if wanted.is_log_prob:
        wanted.log_prob[r] = zero
    if wanted.is_lse:
        wanted.lse[r] = zero
    if wanted.is_entropy:
        wanted.entropy[r] = zero
    if wanted.is_rank:
        wanted.rank[r] = -1
    if wanted.is_top_k:
        for j in range(given.k):
            wanted.top_k[r * given.k + j] = 0


@inlined
def _one_row(given: Any, wanted: Any, r: Any, unit: Any, best: Any) -> Any:
    n, one = given.n, given.one
    low, row = cast(-np.inf, one), shifted(given.x, r * n)
    mask = shifted(given.mask, r % given.masks * n if given.masks else 0)
    at = shifted(wanted.top_k, r * given.k)
    y = given.labels[r] if given.labeled else np.int64(-1)
    is_label = 0 <= y < n
    is_removed = is_label and given.masks != 0 and mask[y] == 0
    own = widen(row[y]) if is_label and not is_removed else low
    is_sum = wanted.is_log_prob or wanted.is_lse or wanted.is_entropy
    sums, is_nan, before, held = _Sums(-np.inf, 0.0, 0.0, 0.0, 0.0), False, 0, np.int64(0)
    for a in range(0, n, UNIT):
        count = min(UNIT, n - a)
        _load(shifted(row, a), count, low, unit)
        if given.masks:
            cover(shifted(mask, a), count, low, unit)
        is_nan = is_nan or _holds_nan(unit, count, one)
        if is_sum:
            top = most_of(unit, count, low)
            rest, spread = _sums_of(unit, count, top, wanted.is_entropy, given.scale, one)
            sums = _merge(sums, np.float64(top), rest, spread, np.float64(given.scale))
        if wanted.is_rank and given.masks:
            before += _before_masked(unit, shifted(mask, a), count, own, y - a, is_removed)
        elif wanted.is_rank:
            before += _before(unit, count, own, y - a)
        if wanted.is_top_k:
            held = _collect(given, unit, shifted(mask, a), count, a, held, best, at)
    if is_sum:
        at_label = np.float64(own) if is_label else np.nan
        _finish(given, wanted, r, at_label, is_nan, sums)
    if wanted.is_rank:
        wanted.rank[r] = -1 if is_nan or not is_label else before
    if wanted.is_top_k:
        if given.masks:
            _append_removed(given, mask, held, at)
        if is_nan:
            for j in range(given.k):
                at[j] = -1


@entry
def statistics(one: Any, call: Any, outputs: Any, start: Any, stop: Any) -> Any:
    """Statistics of rows ``start`` to ``stop``.

    Parameters
    ----------
    one : number
        1 in the dtype of the logits, half precision as its bits.
    call : tuple
        The addresses of the logits, rows that follow one another, of which the next number is the
        length; of the labels, int64; of the mask, bool, before its number of rows; and of the rows
        that are kept, bool; 0 where not given. Then the scale, and k.
    outputs : tuple of addresses
        What is to be written, 0 where it is not wanted: log-probability, logsumexp and entropy in
        the compute dtype; rank and top-k as int64.
    """
    real = widen(one)
    x, n, labels, mask, masks, keep, scale, k = call
    log_prob, lse, entropy, rank, top_k = outputs
    given = _Given(
        pointer(x, one),
        n,
        pointer(labels, n),
        labels != 0,
        pointer(mask, np.uint8(0)),
        masks,
        pointer(keep, np.uint8(0)),
        keep != 0,
        cast(scale, real),
        k,
        real,
    )
    wanted = _Wanted(
        pointer(log_prob, real),
        log_prob != 0,
        pointer(lse, real),
        lse != 0,
        pointer(entropy, real),
        entropy != 0,
        pointer(rank, n),
        rank != 0,
        pointer(top_k, n),
        top_k != 0,
    )
    memory = np.empty(LINE + UNIT + k)
    place = (memory.ctypes.data + 8 * LINE - 1) // (8 * LINE) * (8 * LINE)
    unit, best = pointer(place, real), shifted(pointer(place, real), UNIT)
    for r in range(start, stop):
        if given.ignoring and given.keep[r] == 0:
            _ignore(given, wanted, r)
        else:
            _one_row(given, wanted, r, unit, best)
    # The memory lives until it is asked for its size.
    return 0 if memory.size else 1
