"""Elementary functions whose loops become vector instructions.

A loop over one of these vectorizes because its body is straight-line code on one number. Sums
vectorize only where they may be reassociated: `add` allows that for one addition, and not for the
two-difference beside it. Maxima of floats do not vectorize, maxima of their bits do.

The polynomials interpolate at Chebyshev points; they are off by less than 0.3 ulp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int32, int64, types
from numba.extending import overload

from .machine import bits, fma, from_bits

__all__ = ["exp_difference", "exp_quotient", "log", "log1p", "log1p_any", "power"]


def exp_difference(x: Any, top: Any) -> Any:
    """``exp`` of the unrounded difference, for ``x <= top``; 0 where no normal number is so small.

    NaN where the difference is, also that of two equal infinities.
    """


@overload(exp_difference)
def _exp_difference(x: Any, top: Any) -> Any:
    def both(x: Any, top: Any) -> Any:
        z = x - top
        back = z - x
        return _exp(z, (x - (z - back)) - (top + back))

    return both


def exp_quotient(x: Any, top: Any, inverse: Any, rest: Any) -> Any:
    """The same of the difference times a number above 0 of twice the digits, ``inverse + rest``."""


@overload(exp_quotient)
def _exp_quotient(x: Any, top: Any, inverse: Any, rest: Any) -> Any:
    def both(x: Any, top: Any, inverse: Any, rest: Any) -> Any:
        d = x - top
        back = d - x
        lost = (x - (d - back)) - (top + back)
        z = d * inverse
        return _exp(z, lost * inverse + (fma(d, inverse, -z) + d * rest))

    return both


def _exp(z: Any, lost: Any) -> Any:
    """``exp(z + lost)`` for ``z <= 0``."""


@overload(_exp)
def _exp_of(z: Any, lost: Any) -> Any:
    # Of infinite differences what is lost is NaN, of huge ones it is large: it is set to anything,
    # as the scale is 0 there.
    if z == types.float32:

        def narrow(z: Any, lost: Any) -> Any:
            lost = min(float32(1.0), max(float32(-1.0), lost))
            # 1.5 * 2^23 rounds to an integer k and leaves k + 127, the exponent of 2^k, in the
            # lowest bits: none of them at -88. The product passes a NaN on.
            z = max(z, float32(-88.0))
            t = fma(z, float32(1.4426950408889634), float32(12583039.0))
            k = t - float32(12583039.0)
            f = fma(k, float32(-0.693359375), z)
            f = fma(k, float32(2.12194440e-4), f) + lost
            p = fma(float32(0.0013926926767453551), f, float32(0.008363774046301842))
            p = fma(p, f, float32(0.04166654869914055))
            p = fma(p, f, float32(0.16666573286056519))
            p = fma(p, f, float32(0.5))
            p = fma(f * f, p, f) + float32(1.0)
            return p * from_bits(int32(bits(t) << int32(23)))

        return narrow

    def wide(z: Any, lost: Any) -> Any:
        lost = min(1.0, max(-1.0, lost))
        z = max(z, -709.0)
        t = fma(z, 1.4426950408889634, 6755399441056767.0)
        k = t - 6755399441056767.0
        f = fma(k, -0.693147180369123816490, z)
        f = fma(k, -1.90821492927058770002e-10, f) + lost
        p = fma(2.510134692835034e-08, f, 2.7621338669142925e-07)
        p = fma(p, f, 2.75572566186123e-06)
        p = fma(p, f, 2.4801518641395993e-05)
        p = fma(p, f, 0.00019841269864380513)
        p = fma(p, f, 0.0013888888918939168)
        p = fma(p, f, 0.008333333333329793)
        p = fma(p, f, 0.04166666666662064)
        p = fma(p, f, 0.16666666666666669)
        p = fma(p, f, 0.5)
        p = fma(f * f, p, f) + 1.0
        return p * from_bits(bits(t) << int64(52))

    return wide


def log1p(e: Any) -> Any:
    """``log(1 + e)`` for ``0 <= e <= 1``: twice the inverse hyperbolic tangent of ``s``.

    What the quotient ``s = e / (e + 2)`` loses is put back.
    """


@overload(log1p)
def _log1p(e: Any) -> Any:
    if e == types.float32:

        def narrow(e: Any) -> Any:
            d = e + float32(2.0)
            inverse = float32(1.0) / d
            s = e * inverse
            lost = (fma(-s, d, e) - s * (e - (d - float32(2.0)))) * inverse
            u = s * s
            p = fma(float32(0.2685149908065796), u, float32(0.28236618638038635))
            p = fma(p, u, float32(0.40007561445236206))
            p = fma(p, u, float32(0.6666663885116577))
            return (s + s) + fma(p, u * s, lost + lost)

        return narrow

    def wide(e: Any) -> Any:
        d = e + 2.0
        inverse = 1.0 / d
        s = e * inverse
        lost = (fma(-s, d, e) - s * (e - (d - 2.0))) * inverse
        u = s * s
        p = fma(0.1616404561194353, u, 0.08800738486144674)
        p = fma(p, u, 0.12001072809590713)
        p = fma(p, u, 0.13314144209654935)
        p = fma(p, u, 0.15385570064958623)
        p = fma(p, u, 0.18181789436132859)
        p = fma(p, u, 0.22222222717427864)
        p = fma(p, u, 0.2857142856710876)
        p = fma(p, u, 0.40000000000014585)
        p = fma(p, u, 0.6666666666666666)
        return (s + s) + fma(p, u * s, lost + lost)

    return wide


def log1p_any(e: Any) -> Any:
    """``log(1 + e)`` in float64 for every ``e >= 0``, by `log1p` of what a power of 2 leaves."""


@overload(log1p_any)
def _log1p_any(e: Any) -> Any:
    def wide(e: Any) -> Any:
        u = 1.0 + e
        back = u - e
        lost = (1.0 - back) + (e - (u - back))
        # From the bits of sqrt(1/2): what is left lies around 1.
        k = (bits(u) - int64(0x3FE6A09E667F3BCD)) >> int64(52)
        m = from_bits(bits(u) - (k << int64(52)))
        lost = lost * from_bits((int64(1023) - k) << int64(52)) / m
        n = float64(k)
        small = lost + n * 1.90821492927058770002e-10
        return n * 0.693147180369123816490 + (log1p(m - 1.0) + small)

    return wide


def log(x: Any) -> Any:
    """The natural logarithm; of 0 -inf, of a negative number NaN."""


@overload(log)
def _log(x: Any) -> Any:
    if x == types.float32:

        def narrow(x: Any) -> Any:
            low = x < float32(1.1754944e-38)
            u = x * float32(33554432.0) if low else x
            k = (bits(u) - int32(0x3F3504F3)) >> int32(23)
            m = from_bits(int32(bits(u) - int32(k << int32(23))))
            n = float32(k) - (float32(25.0) if low else float32(0.0))
            # n times the first part is exact.
            y = n * float32(0.693359375) + (log1p(m - float32(1.0)) + n * float32(-2.12194440e-4))
            beyond = x if x == np.inf else np.nan
            y = y if x < np.inf else beyond
            y = y if x > 0 else np.nan
            return float32(-np.inf if x == 0 else y)

        return narrow

    def wide(x: Any) -> Any:
        low = x < 2.2250738585072014e-308
        u = x * 18014398509481984.0 if low else x
        k = (bits(u) - int64(0x3FE6A09E667F3BCD)) >> int64(52)
        m = from_bits(bits(u) - (k << int64(52)))
        n = float64(k) - (54.0 if low else 0.0)
        y = n * 0.693147180369123816490 + (log1p(m - 1.0) + n * 1.90821492927058770002e-10)
        beyond = x if x == np.inf else np.nan
        y = y if x < np.inf else beyond
        y = y if x > 0 else np.nan
        return -np.inf if x == 0 else y

    return wide


def power(x: Any, exponent: Any) -> Any:
    """A number in [0, 1] to a power of at least 0, in float64 where it is float32."""


@overload(power)
def _power(x: Any, exponent: Any) -> Any:
    if x == types.float32:

        def narrow(x: Any, exponent: Any) -> Any:
            z = float64(exponent) * log(float64(x))
            # Of 0 it is 0, or 1 where the exponent is 0.
            y = float32(_exp(z, 0.0))
            return float32(1.0) if exponent == 0 else y

        return narrow

    def wide(x: Any, exponent: Any) -> Any:
        return x**exponent

    return wide
