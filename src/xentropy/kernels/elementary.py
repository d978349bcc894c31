"""Elementary functions whose loops become vector instructions.

A loop over one of these vectorizes because its body is straight-line code on one number. Sums
vectorize only where they may be reassociated: `add` allows that for one addition, and not for the
two-difference beside it. Maxima of floats do not vectorize, maxima of their bits do.

The polynomials interpolate at Chebyshev points; they are off by less than 0.3 ulp.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, int32, int64, njit, types, uint16
from numba.extending import intrinsic, overload

__all__ = [
    "add",
    "apart",
    "exp_difference",
    "from_key",
    "key",
    "log1p",
    "lowest",
    "narrow_to",
    "prefetch",
    "store",
    "widen",
]


def _bitcast(to: Any, source: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], context.get_value_type(to))

    return to(source), generate


@intrinsic
def _bits(typing_context: Any, x: Any) -> Any:
    return _bitcast(types.int32 if x == types.float32 else types.int64, x)


@intrinsic
def _float(typing_context: Any, x: Any) -> Any:
    return _bitcast(types.float32 if x == types.int32 else types.float64, x)


@intrinsic
def _fma(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fma(*args)

    return x(x, x, x), generate


@intrinsic
def add(typing_context: Any, x: Any, y: Any) -> Any:
    """``x + y``, in any order with the other additions to a sum."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("reassoc",))

    return x(x, x), generate


@intrinsic
def _from_half(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fpext(builder.bitcast(args[0], ir.HalfType()), ir.FloatType())

    return types.float32(x), generate


@intrinsic
def _to_half(typing_context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(builder.fptrunc(args[0], ir.HalfType()), ir.IntType(16))

    return types.int16(x), generate


@intrinsic
def prefetch(typing_context: Any, x: Any, i: Any) -> Any:
    """Ask for the cache line of ``x[i]``, which may lie beyond the end."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        pointer = builder.gep(array.data, [args[1]])
        byte = builder.bitcast(pointer, ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte.type], kind)
        builder.call(function, [byte, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(x, i), generate


def key(x: Any) -> Any:
    """An integer that orders as ``x`` does; a positive NaN comes last and is never lost."""


@overload(key)
def _key(x: Any) -> Any:
    # Numba widens 32-bit arithmetic to 64 bits: a cast at every step.
    if x == types.float32:

        def narrow(x: Any) -> Any:
            v = _bits(x)
            return int32(v ^ (int32(v >> int32(31)) & int32(0x7FFFFFFF)))

        return narrow

    def wide(x: Any) -> Any:
        v = _bits(x)
        return v ^ ((v >> int64(63)) & int64(0x7FFFFFFFFFFFFFFF))

    return wide


def from_key(k: Any) -> Any:
    """The number whose `key` is ``k``."""


@overload(from_key)
def _from_key(k: Any) -> Any:
    if k == types.int32:

        def narrow(k: Any) -> Any:
            return _float(int32(k ^ (int32(k >> int32(31)) & int32(0x7FFFFFFF))))

        return narrow

    def wide(k: Any) -> Any:
        return _float(k ^ ((k >> int64(63)) & int64(0x7FFFFFFFFFFFFFFF)))

    return wide


def lowest(x: Any) -> Any:
    """A `key` below that of every number, of the width of ``x``."""


@overload(lowest)
def _lowest(x: Any) -> Any:
    if x == types.float32:

        def narrow(x: Any) -> Any:
            return int32(-0x80000000)

        return narrow

    def wide(x: Any) -> Any:
        return int64(-0x8000000000000000)

    return wide


def exp_difference(x: Any, top: Any) -> Any:
    """``exp`` of the unrounded difference, and whether it counts: below 1 and normal, or NaN.

    NaN where the difference is, also that of two equal infinities.
    """


@overload(exp_difference)
def _exp_difference(x: Any, top: Any) -> Any:
    if x == types.float32:

        def narrow(x: Any, top: Any) -> Any:
            z = x - top
            back = z - x
            lost = (x - (z - back)) - (top + back)
            # 1.5 * 2^23 rounds to an integer k and leaves k + 127, the exponent of 2^k, in the
            # lowest bits. The product passes a NaN on, which a sum of bits would not.
            least = float32(-87.33654)
            t = _fma(max(z, least), float32(1.4426950408889634), float32(12583039.0))
            k = t - float32(12583039.0)
            f = _fma(k, float32(-0.693359375), max(z, least))
            f = _fma(k, float32(2.12194440e-4), f) + lost
            p = _fma(float32(0.0013926926767453551), f, float32(0.008363774046301842))
            p = _fma(p, f, float32(0.04166654869914055))
            p = _fma(p, f, float32(0.16666573286056519))
            p = _fma(p, f, float32(0.5))
            p = _fma(f * f, p, f) + float32(1.0)
            e = p * _float(int32(_bits(t) << int32(23)))
            return e, z >= float32(0.0), z < least

        return narrow

    def wide(x: Any, top: Any) -> Any:
        z = x - top
        back = z - x
        lost = (x - (z - back)) - (top + back)
        least = -708.39
        t = _fma(max(z, least), 1.4426950408889634, 6755399441056767.0)
        k = t - 6755399441056767.0
        f = _fma(k, -0.693147180369123816490, max(z, least))
        f = _fma(k, -1.90821492927058770002e-10, f) + lost
        p = _fma(2.510134692835034e-08, f, 2.7621338669142925e-07)
        p = _fma(p, f, 2.75572566186123e-06)
        p = _fma(p, f, 2.4801518641395993e-05)
        p = _fma(p, f, 0.00019841269864380513)
        p = _fma(p, f, 0.0013888888918939168)
        p = _fma(p, f, 0.008333333333329793)
        p = _fma(p, f, 0.04166666666662064)
        p = _fma(p, f, 0.16666666666666669)
        p = _fma(p, f, 0.5)
        p = _fma(f * f, p, f) + 1.0
        e = p * _float(_bits(t) << int64(52))
        return e, z >= 0.0, z < least

    return wide


def widen(x: Any) -> Any:
    """A number in the dtype that it is computed in; half precision comes as its bits.

    Bits of bfloat16 come as uint16, of float16 as int16.
    """


@overload(widen)
def _widen(x: Any) -> Any:
    if x == types.uint16:

        def bfloat(x: Any) -> Any:
            return _float(int32(int32(x) << int32(16)))

        return bfloat
    if x == types.int16:

        def half(x: Any) -> Any:
            return _from_half(x)

        return half

    def same(x: Any) -> Any:
        return x

    return same


def narrow_to(x: Any, like: Any) -> Any:
    """A number in the dtype of ``like``: the inverse of `widen`, rounded to nearest even."""


@overload(narrow_to)
def _narrow_to(x: Any, like: Any) -> Any:
    if like == types.uint16:

        def bfloat(x: Any, like: Any) -> Any:
            v = _bits(x)
            up = int32(v + int32(int32(0x7FFF) + int32(int32(v >> int32(16)) & int32(1))))
            return uint16(int32((up if x == x else int32(v | int32(0x400000))) >> int32(16)))

        return bfloat
    if like == types.int16:

        def half(x: Any, like: Any) -> Any:
            return _to_half(x)

        return half

    def same(x: Any, like: Any) -> Any:
        return x

    return same


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
            lost = (_fma(-s, d, e) - s * (e - (d - float32(2.0)))) * inverse
            u = s * s
            p = _fma(float32(0.2685149908065796), u, float32(0.28236618638038635))
            p = _fma(p, u, float32(0.40007561445236206))
            p = _fma(p, u, float32(0.6666663885116577))
            return (s + s) + _fma(p, u * s, lost + lost)

        return narrow

    def wide(e: Any) -> Any:
        d = e + 2.0
        inverse = 1.0 / d
        s = e * inverse
        lost = (_fma(-s, d, e) - s * (e - (d - 2.0))) * inverse
        u = s * s
        p = _fma(0.1616404561194353, u, 0.08800738486144674)
        p = _fma(p, u, 0.12001072809590713)
        p = _fma(p, u, 0.13314144209654935)
        p = _fma(p, u, 0.15385570064958623)
        p = _fma(p, u, 0.18181789436132859)
        p = _fma(p, u, 0.22222222717427864)
        p = _fma(p, u, 0.2857142856710876)
        p = _fma(p, u, 0.40000000000014585)
        p = _fma(p, u, 0.6666666666666666)
        return (s + s) + _fma(p, u * s, lost + lost)

    return wide


@njit(nogil=True, error_model="numpy")
def apart(x: Any, out: Any, n: Any) -> Any:
    """Where to compute what is then stored in ``out``: n numbers if that is the memory of ``x``.

    A loop is not vectorized that reads and writes the same memory by two names.
    """
    return np.empty(n if x.ctypes.data == out.ctypes.data else 0, out.dtype)


@njit(nogil=True, error_model="numpy")
def store(block: Any, out: Any) -> Any:
    """Copy a block, in half the time that the assignment to a slice takes."""
    for i in range(block.size):
        out[i] = block[i]
