"""The sigmoid loss of elements, in one read of logits and labels, and the sum over examples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementary import (
    add,
    cast,
    entry,
    exp_difference,
    helper,
    inlined,
    log1p,
    narrow_to,
    pointer,
    shifted,
    widen,
)

__all__ = [
    "BLOCK",
    "add_up",
    "is_uniform",
    "multiply",
    "sigmoid",
    "sum_of",
    "total",
]

BLOCK = 1024
"""Numbers that are done at once."""


@helper
def _losses(x: Any, t: Any, positive: Any, count: Any, keep: Any, half: Any, out: Any) -> Any:
    """``w t softplus(-x) + (1 - t) softplus(x)`` with smoothed labels."""
    one = cast(1.0, keep)
    zero = one - one
    for i in range(count):
        v, y = widen(x[i]), t[i]
        e = exp_difference(-abs(v), zero)
        rest = log1p(e)
        pos, neg = keep * y + half, keep * (one - y) + half
        # A label of 0 drops an infinite term.
        above = zero if neg == zero else neg * (max(v, zero) + rest)
        pos = pos * positive[i]
        below = zero if pos == zero else pos * (max(-v, zero) + rest)
        out[i] = above + below if v == v else v


@helper
def _gradients(
    x: Any, t: Any, positive: Any, count: Any, keep: Any, half: Any, scale: Any, out: Any
) -> Any:
    one = cast(1.0, keep)
    zero = one - one
    for i in range(count):
        v, y = widen(x[i]), t[i]
        e = exp_difference(-abs(v), zero)
        large = one / (one + e)
        small = e * large
        p, q = (large, small) if v >= zero else (small, large)
        pos, neg = keep * y + half, keep * (one - y) + half
        g = neg * p - (pos * positive[i]) * q
        g = scale[i] * (g if v == v else v)
        out[i] = narrow_to(zero if scale[i] == zero else g, out[i])


@helper
def _weigh(scale: Any, count: Any, out: Any) -> Any:
    """Multiply; 0 leaves an element out, whatever it holds."""
    for i in range(count):
        s = scale[i]
        out[i] = cast(0.0, s) if s == 0 else s * out[i]


@helper
def _fill(value: Any, count: Any, out: Any) -> Any:
    for i in range(count):
        out[i] = value


@helper
def _copy(source: Any, count: Any, out: Any) -> Any:
    for i in range(count):
        out[i] = source[i]


class _Given(NamedTuple):
    """The arguments of a call, by pointers; those that are not given must not be read."""

    x: Any  # logits, half precision as its bits
    t: Any  # labels, in the compute dtype
    positive: Any  # the weights of the positive term; they repeat after ``period``, if not 0
    period: Any
    scale: Any  # of the elements, in the compute dtype; 0 leaves one out
    scaled: Any
    keep: Any  # of the labels in smoothing
    half: Any  # of the smoothing
    factor: Any  # memory for a block


@inlined
def _given_of(one: Any, call: Any, memory: Any) -> Any:
    """The arguments by name, of a tuple of addresses and numbers; address 0 is not given."""
    x, t, positive, period, scale, smoothing = call
    real = widen(one)
    ones = pointer(memory, real)
    _fill(real, BLOCK, ones)
    return _Given(
        pointer(x, one),
        pointer(t, real),
        pointer(positive, real) if period else ones,
        period,
        pointer(scale, real),
        scale != 0,
        cast(1.0 - smoothing, real),
        cast(0.5 * smoothing, real),
        shifted(ones, BLOCK),
    )


@inlined
def _end(i: Any, stop: Any, period: Any) -> Any:
    """Where the block that starts at ``i`` ends: no later than a period of the weights."""
    end = min(i + BLOCK, stop)
    return min(end, (i // period + 1) * period) if period else end


@entry
def sigmoid(
    one: Any,
    call: Any,
    upstream: Any,
    cotangent: Any,
    each: Any,
    losses: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Losses of elements ``start`` to ``stop``, and their gradients.

    Parameters
    ----------
    one : number
        1 in the dtype of the logits, half precision as its bits.
    call : tuple
        What `_given_of` takes.
    upstream : float
        The cotangent of all losses, for ``out``.
    cotangent : address
        Instead, in the compute dtype, one number or, with ``each``, n; 0 if not given.
    losses : address, shape (n,)
        To be written, in the compute dtype; 0 if not wanted.
    out : address, shape (n,)
        The gradient, to be written, in the dtype of the logits; 0 if not wanted.
    """
    memory = np.empty(2 * BLOCK)
    given = _given_of(one, call, memory)
    real = given.keep
    i = start
    while i < stop:
        count = _end(i, stop, given.period) - i
        w = shifted(given.positive, i % given.period if given.period else 0)
        x, t = shifted(given.x, i), shifted(given.t, i)
        if losses:
            found = shifted(pointer(losses, real), i)
            _losses(x, t, w, count, real, given.half, found)
            if given.scaled:
                _weigh(shifted(given.scale, i), count, found)
        if out:
            factors = pointer(cotangent, real)
            if each:
                _copy(shifted(factors, i), count, given.factor)
            else:
                _fill(factors[0] if cotangent else cast(upstream, real), count, given.factor)
            if given.scaled:
                _weigh(shifted(given.scale, i), count, given.factor)
            to = shifted(pointer(out, one), i)
            _gradients(x, t, w, count, real, given.half, given.factor, to)
        i += count
    # The memory lives until it is asked for its size.
    return 0 if memory.size else 1


@helper
def sum_of(x: Any, count: Any) -> Any:
    """The sum of float32 numbers, in float64."""
    s = 0.0
    for i in range(count):
        s = add(s, np.float64(x[i]))
    return s


@entry
def add_up(x: Any, count: Any) -> Any:
    """`sum_of` what lies at an address."""
    return sum_of(pointer(x, np.float32(0)), count)


@entry
def total(x: Any, count: Any, sums: Any, start: Any, stop: Any) -> Any:
    """Add up blocks ``start`` to ``stop`` of float32 numbers, in float64."""
    numbers = pointer(x, np.float32(0))
    for block in range(start, stop):
        i = block * BLOCK
        pointer(sums, 0.0)[block] = sum_of(shifted(numbers, i), min(BLOCK, count - i))
    return 0


@entry
def is_uniform(one: Any, x: Any, count: Any) -> Any:
    """Whether all numbers are the same."""
    numbers, others = pointer(x, one), 0
    for i in range(count):
        others += numbers[i] != numbers[0]
    return others == 0


@helper
def _by_one(x: Any, count: Any, factor: Any) -> Any:
    zero = cast(0.0, factor)
    for i in range(count):
        x[i] = zero if factor == zero else factor * x[i]


@entry
def multiply(one: Any, x: Any, n: Any, factors: Any, each: Any, start: Any, stop: Any) -> Any:
    """Multiply rows ``start`` to ``stop`` of ``n`` numbers by the only factor, or by ``each``.

    0 makes a row 0, whatever it holds.
    """
    numbers, f = shifted(pointer(x, one), start * n), pointer(factors, one)
    if not each:
        _by_one(numbers, (stop - start) * n, f[0])
    elif n == 1:
        _weigh(shifted(f, start), stop - start, numbers)
    else:
        for r in range(stop - start):
            _by_one(shifted(numbers, r * n), n, f[start + r])
    return 0
