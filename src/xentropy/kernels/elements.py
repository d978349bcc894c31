"""The sigmoid loss of elements, in one read of logits and labels, and the sum over examples."""

from __future__ import annotations

from typing import Any

import numpy as np

from .elementary import add, entry, exp_difference, helper, log1p, narrow_to, widen

__all__ = [
    "add_up",
    "is_uniform",
    "multiply",
    "reduce",
    "sigmoid_gradients",
    "sigmoid_losses",
    "total",
]

BLOCK = 1024
"""Numbers that are done at once."""


@helper
def _losses(x: Any, t: Any, positive: Any, keep: Any, half: Any, out: Any) -> Any:
    """``w t softplus(-x) + (1 - t) softplus(x)`` with smoothed labels."""
    zero, one = out.dtype.type(0), out.dtype.type(1)
    for i in range(x.size):
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
def _gradients(x: Any, t: Any, positive: Any, keep: Any, half: Any, scale: Any, out: Any) -> Any:
    zero, one = positive.dtype.type(0), positive.dtype.type(1)
    for i in range(x.size):
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
def _weigh(scale: Any, out: Any) -> Any:
    """Multiply; 0 leaves an element out, whatever it holds."""
    zero = out.dtype.type(0)
    for i in range(out.size):
        out[i] = zero if scale[i] == zero else scale[i] * out[i]


@helper
def _end(i: Any, stop: Any, period: Any) -> Any:
    """Where the block that starts at ``i`` ends: no later than a period of the weights."""
    end = min(i + BLOCK, stop)
    return min(end, (i // period + 1) * period) if period else end


@entry
def sigmoid_losses(
    x: Any,
    t: Any,
    positive: Any,
    scale: Any,
    smoothing: Any,
    upstream: Any,
    losses: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """Losses of elements ``start`` to ``stop``, and, if wanted, their gradients.

    An array of size 0 stands for one that is not given or not wanted.

    Parameters
    ----------
    x : array, shape (n,)
        Logits, half precision as its bits.
    t : array, shape (n,)
        Labels, in the compute dtype.
    positive : array, shape (k,)
        The weights of the positive term; they repeat.
    scale : array, shape (n,)
        Of the elements, in the compute dtype; 0 leaves one out.
    smoothing : float
        Of the labels.
    upstream : float
        The cotangent of all losses, for ``out``.
    losses : array, shape (n,)
        To be written, in the compute dtype.
    out : array, shape (n,)
        The gradient, to be written, in the dtype of ``x``.
    """
    real = losses.dtype.type
    ones, factor = np.ones(BLOCK, losses.dtype), np.empty(BLOCK, losses.dtype)
    keep, half = real(1.0 - smoothing), real(0.5 * smoothing)
    i = start
    while i < stop:
        j = _end(i, stop, positive.size)
        k = i % positive.size if positive.size else 0
        w = positive[k : k + j - i] if positive.size else ones[: j - i]
        _losses(x[i:j], t[i:j], w, keep, half, losses[i:j])
        if scale.size:
            _weigh(scale[i:j], losses[i:j])
        if out.size:
            f = factor[: j - i]
            f[:] = real(upstream)
            if scale.size:
                f *= scale[i:j]
            _gradients(x[i:j], t[i:j], w, keep, half, f, out[i:j])
        i = j


@entry
def sigmoid_gradients(
    x: Any,
    t: Any,
    positive: Any,
    scale: Any,
    smoothing: Any,
    cotangent: Any,
    out: Any,
    start: Any,
    stop: Any,
) -> Any:
    """The gradients of elements ``start`` to ``stop``; ``cotangent`` has one number or n."""
    real = t.dtype.type
    ones, factor = np.ones(BLOCK, t.dtype), np.empty(BLOCK, t.dtype)
    keep, half = real(1.0 - smoothing), real(0.5 * smoothing)
    i = start
    while i < stop:
        j = _end(i, stop, positive.size)
        k = i % positive.size if positive.size else 0
        w = positive[k : k + j - i] if positive.size else ones[: j - i]
        f = factor[: j - i]
        if cotangent.size == 1:
            f[:] = cotangent[0]
        else:
            f[:] = cotangent[i:j]
        if scale.size:
            _weigh(scale[i:j], f)
        _gradients(x[i:j], t[i:j], w, keep, half, f, out[i:j])
        i = j


@entry
def add_up(x: Any) -> Any:
    """The sum of float32 numbers, in float64."""
    s = 0.0
    for i in range(x.size):
        s = add(s, np.float64(x[i]))
    return s


@entry
def reduce(x: Any, divisor: Any, out: Any) -> Any:
    """Write the sum of float32 numbers, added in float64, by a divisor; an overflow is silent."""
    out[0] = add_up(x) / divisor


@entry
def total(x: Any, sums: Any, start: Any, stop: Any) -> Any:
    """Add up blocks ``start`` to ``stop`` of float32 numbers, in float64."""
    for block in range(start, stop):
        sums[block] = add_up(x[block * BLOCK : (block + 1) * BLOCK])


@entry
def is_uniform(x: Any) -> Any:
    """Whether all numbers are the same."""
    first, others = x[0], 0
    for i in range(x.size):
        others += x[i] != first
    return others == 0


@helper
def _by_one(x: Any, factor: Any) -> Any:
    zero = x.dtype.type(0)
    for i in range(x.size):
        x[i] = zero if factor == zero else factor * x[i]


@helper
def _by_each(x: Any, factors: Any) -> Any:
    zero = x.dtype.type(0)
    for i in range(x.size):
        x[i] = zero if factors[i] == zero else x.dtype.type(factors[i]) * x[i]


@entry
def multiply(x: Any, n: Any, factors: Any, start: Any, stop: Any) -> Any:
    """Multiply rows ``start`` to ``stop`` of ``n`` numbers by a factor each, or by the only one.

    0 makes a row 0, whatever it holds.
    """
    if factors.size == 1:
        _by_one(x[start * n : stop * n], x.dtype.type(factors[0]))
    elif n == 1:
        _by_each(x[start:stop], factors[start:stop])
    else:
        for r in range(start, stop):
            _by_one(x[r * n : r * n + n], x.dtype.type(factors[r]))
