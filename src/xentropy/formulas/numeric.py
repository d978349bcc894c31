"""Elementary functions and error-free transformations that keep every digit."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xentropy._types import Namespace

__all__ = [
    "Logistic",
    "exact_log1p",
    "exp_difference",
    "faded",
    "log_cosh",
    "logistic",
    "nan_unless",
    "over",
    "raised",
    "slope",
    "smooth",
    "smooth_binary",
    "split_sum",
    "times",
    "used",
]


def times(xp: Namespace, factor: Any, x: Any) -> Any:
    """``factor * x`` with ``0 * inf = 0``, as in ``0 log 0 = 0``.

    Only what is not finite is replaced, so that a factor of 0 keeps its derivative.
    """
    return factor * xp.where((factor == 0) & ~xp.isfinite(x), 0.0, x)


def used(xp: Namespace, condition: Callable[[], Any], x: Any, otherwise: float) -> Any:
    """``x``; where its result is dropped, and differentiation would follow, something harmless.

    There a derivative that is infinite or NaN is multiplied by 0, and would spoil the others.
    """
    return xp.where(condition(), x, otherwise) if xp.followed else x


def nan_unless(xp: Namespace, right: Any, loss: Any) -> Any:
    """A loss that is NaN where it is not right; where it is followed, so are its derivatives."""
    if not xp.followed:
        return xp.where(right, loss, math.nan)
    return loss * xp.where(right, xp.ones_like(loss), math.nan)


def raised(xp: Namespace, x: Any, exponent: Any) -> Any:
    """``x ** exponent``; followed at 0, where its derivative may be infinite, it is a constant."""
    found = xp.pow(used(xp, lambda: x != 0, x, 1.0), exponent)
    return xp.where(x == 0, xp.pow(xp.stop_gradient(x), exponent), found) if xp.followed else found


def faded(xp: Namespace, power: Any, x: Any) -> Any:
    """``power * x`` with ``0 * inf = 0``; followed where ``x`` is infinite, the power is constant.

    As a probability of 0 or 1 is: the product of its derivative, 0, with ``x`` would be NaN.
    """
    if not xp.followed:
        return times(xp, power, x)
    far = xp.isinf(x)
    near = times(xp, power, xp.where(far, 0.0, x))
    return xp.where(far, times(xp, xp.stop_gradient(power), x), near)


def over(xp: Namespace, a: Any, b: Any) -> Any:
    """``a / b`` with ``0 / 0 = 0``; otherwise a numerator of 0 keeps its derivative."""
    # Subnormal divisors are flushed to 0 by XLA and TensorFlow.
    least = 1.2e-38 if b.dtype == xp.float32 else 2.3e-308
    return a / xp.where((a == 0) & ~(xp.abs(b) > least), 1.0, b)


def slope(xp: Namespace, factor: Any, x: Any) -> Any:
    """The derivative ``x`` of ``factor * x`` by a factor; 0 where a 0 drops an infinity."""
    return xp.where((factor == 0) & xp.isinf(x), 0.0, x)


def smooth(xp: Namespace, x: Any, t: Any, smoothing: Any, axis: int, class_mask: Any = None) -> Any:
    """The labels after smoothing: ``(1 - s) t + s / C``, ``C`` counting the classes kept."""
    if smoothing is None:
        return t
    one = xp.ones_like(x) if class_mask is None else xp.where(class_mask, xp.ones_like(x), 0.0)
    return (1.0 - smoothing) * t + smoothing * one / xp.sum(one, axis=axis, keepdims=True)


def smooth_binary(t: Any, smoothing: Any) -> tuple[Any, Any]:
    """The weights of the positive and the negative term, ``(1 - s) t + s / 2`` and its complement.

    Each from its own terms: ``1 - t`` of a smoothed ``t`` near 1 would be off by 13 ulp at 0.1.
    """
    if smoothing is None:
        return t, 1.0 - t
    keep, spread = 1.0 - smoothing, 0.5 * smoothing
    return keep * t + spread, keep * (1.0 - t) + spread


def exact_log1p(xp: Namespace, x: Any) -> Any:
    """``log(1 + x)`` for namespaces whose own is off by more than `log` is.

    The rounding of ``1 + x`` is put back to first order. XLA's own is off by 2.2 ulp in float32 and
    by 125 in float64 near -1; this by half an ulp more than its ``log``.
    """
    # Not a constant: XLA folds (1 + x) - 1 into x, and the correction would be gone.
    one = xp.where(x >= -1.0, xp.ones_like(x), math.nan)
    u = one + x
    log = xp.log(u)
    inside = xp.isfinite(log)
    return xp.where(inside, log + (x - (u - one)) / xp.where(inside, u, 1.0), log)


def split_sum(xp: Namespace, total: Callable[[Any], Any], x: Any, axis: Any, count: Any) -> Any:
    """Sum in one precision to about one rounding; ``total`` is the own sum, axes kept.

    The leading bits of all terms are multiples of a unit so large that their sum is exact in any
    order, whatever a compiler makes of it; then comes the rest (Rump, Ogita and Oishi, SIAM J. Sci.
    Comput. 31, 2008, section 3). Own sums are off by half an ulp for each addition to a large term.
    """
    largest = xp.max(xp.abs(x), axis=axis, keepdims=True)
    unit = xp.stop_gradient(4.0 * count * largest)
    high = (x + unit) - unit
    exact = total(high) + total(x - high)
    # Below, the rest is subnormal, and XLA and TensorFlow flush it.
    least = 1e-25 if x.dtype == xp.float32 else 1e-280
    return xp.where(xp.isfinite(exact) & (largest > least), exact, total(x))


def _two_difference(xp: Namespace, a: Any, b: Any) -> tuple[Any, Any]:
    """``a - b`` and what its rounding lost; 0 where the difference is infinite.

    Knuth, The Art of Computer Programming 2, section 4.2.2, theorem B.
    """
    d = a - b
    b_virtual = d - a
    lost = (a - (d - b_virtual)) - (b + b_virtual)
    return d, xp.where(xp.isfinite(d), lost, 0.0)


def _split(x: Any, bits: float) -> tuple[Any, Any]:
    """Split into two halves of the mantissa (Dekker, Numer. Math. 18, 1971)."""
    c = x * bits
    high = c - (c - x)
    return high, x - high


def _lost_by_product(a: Any, b: Any, product: Any, dtype: str) -> Any:
    """What the rounding of ``a * b`` lost."""
    bits = 4097.0 if dtype == "float32" else 134217729.0
    a_high, a_low = _split(a, bits)
    b_high, b_low = _split(b, bits)
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _product(xp: Namespace, a: Any, b: Any, dtype: str) -> tuple[Any, Any]:
    """``a * b`` and what its rounding lost."""
    product = a * b
    lost = _lost_by_product(a, b, product, dtype)
    return product, xp.where(xp.isfinite(product) & xp.isfinite(lost), lost, 0.0)


def _quotient(xp: Namespace, a: Any, b: Any, dtype: str) -> tuple[Any, Any]:
    """``a / b`` and what its rounding lost."""
    q = a / b
    product = q * b
    lost = ((a - product) - _lost_by_product(q, b, product, dtype)) / b
    return q, xp.where(xp.isfinite(q) & xp.isfinite(lost), lost, 0.0)


def exp_difference(
    xp: Namespace, x: Any, top: Any, temperature: Any, dtype: str, scale: Any = None
) -> tuple[Any, Any]:
    """``z = (x - top) / temperature * scale`` and ``exp(z)``, the roundings of ``z`` put back.

    Without the remainder ``exp`` is off by ``|z| / 2`` ulp: 20 where a row is confident by 40 nats.
    """
    z, lost = _two_difference(xp, x, top)
    if scale is not None:
        scale = scale * xp.ones_like(top)
        z, more = _product(xp, z, scale, dtype)
        lost = lost * scale + more
    if temperature is not None:
        # As an array, so that it is split in the arithmetic of x and not in Python's.
        temperature = temperature * xp.ones_like(top)
        z, more = _quotient(xp, z, temperature, dtype)
        lost = lost / temperature + more
    # Not e + e * lost: where e is small that product is subnormal, and TensorFlow flushes it.
    return z, xp.exp(z) * (1.0 + lost)


class Logistic(NamedTuple):
    """``sigmoid(x)``, ``sigmoid(-x)``, ``softplus(x)`` and ``softplus(-x)``."""

    p: Any
    q: Any
    softplus: Any
    softplus_neg: Any


def logistic(xp: Namespace, x: Any) -> Logistic:
    """The logistic function and its logarithms, each to its last digits on both sides.

    `where` instead of ``abs`` keeps the second derivative right at 0.
    """
    positive = x >= 0
    e = xp.exp(xp.where(positive, -x, x))
    large, small = 1.0 / (1.0 + e), e / (1.0 + e)
    rest = xp.log1p(e)
    return Logistic(
        p=xp.where(positive, large, small),
        q=xp.where(positive, small, large),
        softplus=xp.where(positive, x + rest, rest),
        softplus_neg=xp.where(positive, rest, rest - x),
    )


_SINH_TERMS = tuple(1.0 / math.factorial(k) for k in range(19, 1, -2))
_LOG2_HIGH = 0.693145751953125  # log 2 to 16 bits, so that |x| - high is exact near 1
_LOG2_LOW = math.log(2.0) - _LOG2_HIGH


def log_cosh(xp: Namespace, x: Any) -> Any:
    """``log(cosh(x))``: by ``sinh(x / 2)^2`` near 0, by ``|x| - log 2`` beyond 1."""
    a = xp.abs(x)
    near = a < 1.0
    half = xp.where(near, a, 0.0) / 2.0
    square = half * half
    series = square * _SINH_TERMS[0] + _SINH_TERMS[1]
    for term in _SINH_TERMS[2:]:
        series = series * square + term
    sinh = half + half * (square * series)
    far = ((a - _LOG2_HIGH) - _LOG2_LOW) + xp.log1p(xp.exp(-2.0 * a))
    return xp.where(near, xp.log1p(2.0 * sinh * sinh), far)
