"""What a kernel for losses of rows is given, and the memory that it works in.

Arrays are known by their addresses: to unbox one takes as long as ten short rows, to count its
references as long as one, and one that is read-only would be compiled for anew.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementary import exp_difference
from .machine import inlined, per_line, pointer, shifted, widen

__all__ = [
    "BLOCK",
    "LINE",
    "Given",
    "Scratch",
    "allocate",
    "factor_of",
    "given_of",
    "is_short",
    "may_keep",
    "padded",
    "rows_at_once",
    "scratch_of",
    "start_of",
    "unit_of",
]

LINE = 8
"""Numbers of float64 in a cache line."""
LINES = 256
"""Cache lines of a unit: with what is read from memory they fit the first-level cache."""
ROWS = 256
"""Rows that are done at once, at most; together they are no more than a unit."""
KEPT = 2**17
"""Exponentials of a longer row do not stay in the second-level cache: they are computed again."""
BLOCK = 1024
"""Numbers that are added up in their own precision; the sums of blocks are added in float64."""


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
    page: Any  # a block of a gradient, on its way past the cache
    t: Any  # the distributions of some rows whose classes lie apart
    one: Any  # in the compute dtype
    bases: Any  # what the exponentials of each unit of a long row are counted from, float64
    top: Any  # the maximum of each row, float64 like all that follow
    rest: Any  # the sum of exp(x - top), without one maximum
    lost: Any  # what its roundings lost
    spread: Any  # of w (top - x)
    mass: Any  # of w
    gap: Any  # of w (1 - exp(x - top))
    spread_lost: Any  # what the roundings of these lost, of a long row
    mass_lost: Any
    label: Any  # the logit at the label
    weight: Any  # its weight
    share: Any  # what smoothing gives it
    slopes: Any  # what the gradient needs, four numbers a row
    losses: Any
    cotangent: Any


@inlined
def padded(n: Any) -> Any:
    """A length that vectors fill, of a longer row some at a time."""
    return (n + 15) // 16 * 16 if n <= 32 else (n + 63) // 64 * 64


@inlined
def unit_of(given: Any) -> Any:
    """Numbers in a unit."""
    return LINES * per_line(given.t)


@inlined
def rows_at_once(given: Any, rows: Any) -> Any:
    """How many rows are done at once."""
    return min(rows, ROWS, max(unit_of(given) // padded(given.n), 1))


@inlined
def _units(given: Any) -> Any:
    """Of a row."""
    return given.n // unit_of(given) + 1


@inlined
def _parts(given: Any, step: Any, keep: Any) -> Any:
    """Numbers of the logits of some rows, of distributions that lie apart, of exponentials."""
    size = max(step * padded(min(given.n, unit_of(given))), BLOCK)
    kept = padded(given.n) if keep and not is_short(given) else 0
    return size, size if given.dense and given.t_step != 1 else 0, max(kept, size)


@inlined
def allocate(given: Any, step: Any, keep: Any) -> Any:
    """Memory for a `Scratch`; it must be held as long. With ``keep`` exponentials are to stay."""
    size, apart, kept = _parts(given, step, keep)
    return np.empty(LINE + 2 * size + BLOCK + apart + kept + _units(given) + 17 * step)


@inlined
def scratch_of(memory: Any, given: Any, step: Any, keep: Any, one: Any) -> Any:
    """The parts of what was allocated: those that are read as vectors begin with a cache line."""
    real, (size, apart, kept) = widen(one), _parts(given, step, keep)
    start = (memory.ctypes.data + 8 * LINE - 1) // (8 * LINE) * (8 * LINE)
    numbers = pointer(start, real)
    bases = shifted(pointer(start, 0.0), 2 * size + BLOCK + apart + kept)
    each = shifted(bases, _units(given))
    return Scratch(
        numbers,
        shifted(numbers, 2 * size + BLOCK + apart),
        shifted(numbers, size),
        shifted(numbers, 2 * size),
        shifted(numbers, 2 * size + BLOCK),
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
        shifted(each, 9 * step),
        shifted(each, 10 * step),
        shifted(each, 11 * step),
        shifted(each, 15 * step),
        shifted(each, 16 * step),
    )


@inlined
def is_short(given: Any) -> Any:
    """Whether a row is one unit, whose exponentials are kept."""
    return given.n <= unit_of(given)


@inlined
def may_keep(given: Any) -> Any:
    """Whether the exponentials of a row can stay for its gradient."""
    return is_short(given) or (given.n <= KEPT and not given.dense)


@inlined
def factor_of(given: Any, i: Any, top: Any, scratch: Any) -> Any:
    """``exp(base - top)`` of the unit of class ``i``, in float64."""
    if is_short(given):
        return 1.0
    base = scratch.bases[i // unit_of(given)]
    return 0.0 if base == -np.inf else exp_difference(base, top)


@inlined
def start_of(given: Any, r: Any) -> Any:
    """Where a row starts."""
    return given.starts[r] if given.started else r * given.n
