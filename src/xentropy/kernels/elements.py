"""The sigmoid loss of elements, in one read of logits and labels, and the sum over examples."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementary import exp_difference, log1p, power
from .machine import add, cast, entry, helper, inlined, narrow_to, pointer, shifted, widen
from .writing import copy, fill

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


class _Unit(NamedTuple):
    """A label after smoothing and its complement, ``sigmoid(x)``, ``sigmoid(-x)`` and a loss."""

    pos: Any
    neg: Any
    p: Any
    q: Any
    above: Any  # (1 - t) softplus(x)
    below: Any  # t softplus(-x)


@inlined
def _unit(v: Any, y: Any, keep: Any, half: Any) -> Any:
    one = cast(1.0, keep)
    zero = one - one
    e = exp_difference(-abs(v), zero)
    rest = log1p(e)
    large = one / (one + e)
    small = e * large
    p, q = (large, small) if v >= zero else (small, large)
    pos, neg = keep * y + half, keep * (one - y) + half
    # A label of 0 drops an infinite term.
    above = zero if neg == zero else neg * (max(v, zero) + rest)
    below = zero if pos == zero else pos * (max(-v, zero) + rest)
    return _Unit(pos, neg, p, q, above, below)


@helper
def _losses(x: Any, t: Any, positive: Any, count: Any, keep: Any, half: Any, out: Any) -> Any:
    """``w t softplus(-x) + (1 - t) softplus(x)`` with smoothed labels."""
    zero = keep - keep
    for i in range(count):
        v = widen(x[i])
        u = _unit(v, t[i], keep, half)
        # A weight of 0 drops an infinite term too.
        below = zero if positive[i] == zero else u.below * positive[i]
        out[i] = u.above + below if v == v else v


@helper
def _gradients(
    x: Any, t: Any, positive: Any, count: Any, keep: Any, half: Any, scale: Any, out: Any
) -> Any:
    zero = keep - keep
    for i in range(count):
        v = widen(x[i])
        u = _unit(v, t[i], keep, half)
        g = u.neg * u.p - (u.pos * positive[i]) * u.q
        g = scale[i] * (g if v == v else v)
        out[i] = narrow_to(zero if scale[i] == zero else g, out[i])


# --- the focal loss ---------------------------------------------------------------------------


@helper
def _fades(x: Any, t: Any, gamma: Any, count: Any, keep: Any, half: Any, out: Any) -> Any:
    """``(1 - p_t)^gamma``."""
    for i in range(count):
        u = _unit(widen(x[i]), t[i], keep, half)
        out[i] = u.pos * u.q + u.neg * u.p
    if gamma == 2.0:
        for i in range(count):
            out[i] = out[i] * out[i]
    else:
        for i in range(count):
            out[i] = power(out[i], gamma)


@inlined
def _balance(alpha: Any, u: Any, one: Any) -> Any:
    return alpha * u.pos + (one - alpha) * u.neg


@helper
def _focal_losses(
    x: Any, t: Any, alpha: Any, balanced: Any, count: Any, keep: Any, half: Any, out: Any
) -> Any:
    """``alpha_t (1 - p_t)^gamma`` times the loss; ``out`` has the powers before."""
    one = cast(1.0, keep)
    zero = one - one
    for i in range(count):
        v, fade = widen(x[i]), out[i]
        u = _unit(v, t[i], keep, half)
        loss = zero if fade == zero else fade * (u.above + u.below)
        if balanced:
            loss = loss * _balance(alpha[i], u, one)
        out[i] = loss if v == v else v


@helper
def _focal_gradients(
    x: Any,
    t: Any,
    alpha: Any,
    balanced: Any,
    gamma: Any,
    count: Any,
    keep: Any,
    half: Any,
    fades: Any,
    scale: Any,
    out: Any,
) -> Any:
    one = cast(1.0, keep)
    zero = one - one
    for i in range(count):
        v = widen(x[i])
        u = _unit(v, t[i], keep, half)
        # p q / (1 - p_t), finite where a probability underflows.
        shares = (zero if u.pos == zero else u.pos / u.p) + (zero if u.neg == zero else u.neg / u.q)
        odds = one / shares
        loss = zero if odds == zero else odds * (u.above + u.below)
        g = fades[i] * (gamma * (u.neg - u.pos) * loss + (u.neg * u.p - u.pos * u.q))
        if balanced:
            g = g * _balance(alpha[i], u, one)
        g = scale[i] * (g if v == v else v)
        out[i] = narrow_to(zero if scale[i] == zero else g, out[i])


# --- blocks -----------------------------------------------------------------------------------


@helper
def _scale_by(scale: Any, count: Any, out: Any) -> Any:
    """Multiply; 0 leaves an element out, whatever it holds."""
    for i in range(count):
        s = scale[i]
        out[i] = cast(0.0, s) if s == 0 else s * out[i]


class _Given(NamedTuple):
    """The arguments of a call, by pointers; those that are not given must not be read."""

    x: Any  # logits, half precision as its bits
    t: Any  # labels, in the compute dtype; they repeat after ``t_period``, if not 0
    t_period: Any
    positive: Any  # the weights of the positive term; they repeat after ``period``, if not 0
    period: Any
    gamma: Any  # of the focal loss, which balances by those weights; else negative
    scale: Any  # of the elements, in the compute dtype; 0 leaves one out
    scaled: Any
    keep: Any  # of the labels in smoothing
    half: Any  # of the smoothing
    factor: Any  # memory for a block
    fades: Any  # the same


@inlined
def _given_of(one: Any, call: Any, memory: Any) -> Any:
    """The arguments by name, of a tuple of addresses and numbers; address 0 is not given."""
    x, t, t_period, positive, period, gamma, scale, smoothing = call
    real = widen(one)
    ones = pointer(memory, real)
    fill(real, BLOCK, ones)
    return _Given(
        pointer(x, one),
        pointer(t, real),
        t_period,
        pointer(positive, real) if period else ones,
        period,
        cast(gamma, real),
        pointer(scale, real),
        scale != 0,
        cast(1.0 - smoothing, real),
        cast(0.5 * smoothing, real),
        shifted(ones, BLOCK),
        shifted(ones, 2 * BLOCK),
    )


@inlined
def _end(i: Any, stop: Any, period: Any) -> Any:
    """Where a block that starts at ``i`` ends: no later than a period."""
    return min(stop, (i // period + 1) * period) if period else stop


@inlined
def _evaluate(given: Any, i: Any, count: Any, x: Any, t: Any, w: Any, out: Any) -> Any:
    """The losses of a block."""
    real = given.keep
    if given.gamma >= 0:
        _fades(x, t, given.gamma, count, real, given.half, out)
        balanced = given.period != 0
        _focal_losses(x, t, w, balanced, count, real, given.half, out)
    else:
        _losses(x, t, w, count, real, given.half, out)
    if given.scaled:
        _scale_by(shifted(given.scale, i), count, out)


@inlined
def _differentiate(given: Any, i: Any, count: Any, x: Any, t: Any, w: Any, out: Any) -> Any:
    """The gradients of a block, times the factors."""
    real, balanced = given.keep, given.period != 0
    if given.scaled:
        _scale_by(shifted(given.scale, i), count, given.factor)
    if given.gamma >= 0:
        _fades(x, t, given.gamma, count, real, given.half, given.fades)
        others = given.fades, given.factor
        _focal_gradients(x, t, w, balanced, given.gamma, count, real, given.half, *others, out)
    else:
        _gradients(x, t, w, count, real, given.half, given.factor, out)


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
    memory = np.empty(3 * BLOCK)
    given = _given_of(one, call, memory)
    real = given.keep
    i = start
    while i < stop:
        end = _end(i, min(i + BLOCK, stop), given.period)
        count = _end(i, end, given.t_period) - i
        w = shifted(given.positive, i % given.period if given.period else 0)
        t = shifted(given.t, i % given.t_period if given.t_period else i)
        x = shifted(given.x, i)
        if losses:
            _evaluate(given, i, count, x, t, w, shifted(pointer(losses, real), i))
        if out:
            factors = pointer(cotangent, real)
            if each:
                copy(shifted(factors, i), count, given.factor)
            else:
                fill(factors[0] if cotangent else cast(upstream, real), count, given.factor)
            _differentiate(given, i, count, x, t, w, shifted(pointer(out, one), i))
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
        _scale_by(shifted(f, start), stop - start, numbers)
    else:
        for r in range(stop - start):
            _by_one(shifted(numbers, r * n), n, f[start + r])
    return 0
