"""Elementary functions whose loops become vector instructions.

A loop over one of these vectorizes because its body is straight-line code on one number. Sums
vectorize only where they may be reassociated: `add` allows that for one addition, and not for the
two-difference beside it. Maxima of floats do not vectorize, maxima of their bits do.

The polynomials interpolate at Chebyshev points; they are off by less than 0.3 ulp.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import float32, float64, int32, int64, njit, types
from numba.extending import intrinsic, overload

__all__ = [
    "add",
    "cast",
    "entry",
    "exp_difference",
    "greater",
    "helper",
    "inlined",
    "log1p",
    "log1p_any",
    "merged",
    "narrow_to",
    "per_line",
    "place_of",
    "pointer",
    "prefetch",
    "settle",
    "shifted",
    "stamp",
    "stream",
    "widen",
]

_PART = {"nogil": True, "error_model": "numpy"}
_HIDDEN = {**_PART, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# Ways to compile a function: one that a kernel calls; the same that is merged into it, where what
# it is given takes as long to pass on as a short row; the same where each call stands for its body,
# which takes less time to compile if it is short; and a kernel.
helper: Any = njit(**_HIDDEN)
merged: Any = njit(**_HIDDEN, forceinline=True)
inlined: Any = njit(**_PART, inline="always")


def entry(function: Any) -> Any:
    """Compile a kernel, for the cache on disk under a name that tells these sources from others.

    Numba looks at the file of the kernel only: what it calls may have changed. See
    https://numba.readthedocs.io/en/stable/developer/caching.html
    """
    function.__qualname__ += f"_{stamp(Path(__file__).parent)}"
    return njit(**_PART, cache=True, no_cfunc_wrapper=True)(function)


@functools.cache
def stamp(folder: Path) -> str:
    """A checksum of the modules in a folder."""
    sources = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    return f"{zlib.crc32(sources):08x}"


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
def greater(typing_context: Any, x: Any, y: Any) -> Any:
    """The larger of two numbers; if one is NaN either."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        flags = ("nnan", "nsz")
        return builder.select(builder.fcmp_ordered(">", *args, flags=flags), *args, flags=flags)

    return x(x, x), generate


_HALF, _INT16, _INT32 = ir.HalfType(), ir.IntType(16), ir.IntType(32)


@intrinsic
def cast(typing_context: Any, x: Any, like: Any) -> Any:
    """A number in the dtype of another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.cast(builder, args[0], x, like)

    return like(x, like), generate


@intrinsic
def widen(typing_context: Any, x: Any) -> Any:
    """A number in the dtype that it is computed in; half precision comes as its bits.

    Bits of bfloat16 come as uint16, of float16 as int16.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if x == types.int16:
            return builder.fpext(builder.bitcast(args[0], _HALF), ir.FloatType())
        if x == types.uint16:
            bits = builder.shl(builder.zext(args[0], _INT32), _INT32(16))
            return builder.bitcast(bits, ir.FloatType())
        return args[0]

    wide = types.float32 if x in (types.int16, types.uint16) else x
    return wide(x), generate


@intrinsic
def narrow_to(typing_context: Any, x: Any, like: Any) -> Any:
    """A number in the dtype of ``like``: the inverse of `widen`, rounded to nearest even."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if like == types.int16:
            return builder.bitcast(builder.fptrunc(args[0], _HALF), _INT16)
        if like == types.uint16:
            bits = builder.bitcast(args[0], _INT32)
            last = builder.and_(builder.lshr(bits, _INT32(16)), _INT32(1))
            rounded = builder.add(bits, builder.add(last, _INT32(0x7FFF)))
            quiet = builder.or_(bits, _INT32(0x400000))
            is_nan = builder.fcmp_unordered("uno", args[0], args[0])
            bits = builder.select(is_nan, quiet, rounded)
            return builder.trunc(builder.lshr(bits, _INT32(16)), _INT16)
        return args[0]

    return like(x, like), generate


@intrinsic
def pointer(typing_context: Any, x: Any, like: Any) -> Any:
    """The pointer to numbers like another: from an address, or to the memory of an array.

    Indexed as an array, without a count of references or negative indices. The array must live as
    long.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        if isinstance(x, types.Integer):
            return builder.inttoptr(args[0], kind)
        return builder.bitcast(context.make_array(x)(context, builder, args[0]).data, kind)

    return types.CPointer(like)(x, like), generate


@intrinsic
def shifted(typing_context: Any, x: Any, i: Any) -> Any:
    """The pointer to ``x[i]`` of another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return x(x, i), generate


@intrinsic
def per_line(typing_context: Any, x: Any) -> Any:
    """How many numbers a cache line of 64 bytes holds, of those behind a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.int64, 64 * 8 // x.dtype.bitwidth)

    return types.int64(x), generate


@intrinsic
def prefetch(typing_context: Any, x: Any, i: Any) -> Any:
    """Ask for the cache line of ``x[i]`` of a pointer; it may lie beyond the end."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = builder.bitcast(builder.gep(args[0], [args[1]]), ir.IntType(8).as_pointer())
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte.type, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte.type], kind)
        builder.call(function, [byte, number(0), number(2), number(1)])
        return context.get_dummy_value()

    return types.none(x, i), generate


@intrinsic
def stream(typing_context: Any, x: Any, out: Any) -> Any:
    """Copy 64 bytes past the cache, to the beginning of a cache line."""
    line = ir.VectorType(ir.IntType(32), 16)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source, target = (builder.bitcast(pointer, line.as_pointer()) for pointer in args)
        store = builder.store(builder.load(source, align=1), target, align=64)
        store.set_metadata("nontemporal", builder.module.add_metadata([ir.IntType(32)(1)]))
        return context.get_dummy_value()

    return types.none(x, out), generate


@intrinsic
def place_of(typing_context: Any, x: Any) -> Any:
    """The address behind a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(x), generate


@intrinsic
def settle(typing_context: Any) -> Any:
    """Let what was streamed be seen before all that follows."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.none(), generate


def exp_difference(x: Any, top: Any) -> Any:
    """``exp`` of the unrounded difference, for ``x <= top``; 0 where no normal number is so small.

    NaN where the difference is, also that of two equal infinities.
    """


@overload(exp_difference)
def _exp_difference(x: Any, top: Any) -> Any:
    # Of infinite differences what is lost is NaN, and set to anything: the scale is 0 there.
    if x == types.float32:

        def narrow(x: Any, top: Any) -> Any:
            z = x - top
            back = z - x
            lost = max(float32(-1.0), (x - (z - back)) - (top + back))
            # 1.5 * 2^23 rounds to an integer k and leaves k + 127, the exponent of 2^k, in the
            # lowest bits: none of them at -88. The product passes a NaN on.
            z = max(z, float32(-88.0))
            t = _fma(z, float32(1.4426950408889634), float32(12583039.0))
            k = t - float32(12583039.0)
            f = _fma(k, float32(-0.693359375), z)
            f = _fma(k, float32(2.12194440e-4), f) + lost
            p = _fma(float32(0.0013926926767453551), f, float32(0.008363774046301842))
            p = _fma(p, f, float32(0.04166654869914055))
            p = _fma(p, f, float32(0.16666573286056519))
            p = _fma(p, f, float32(0.5))
            p = _fma(f * f, p, f) + float32(1.0)
            return p * _float(int32(_bits(t) << int32(23)))

        return narrow

    def wide(x: Any, top: Any) -> Any:
        z = x - top
        back = z - x
        lost = max(-1.0, (x - (z - back)) - (top + back))
        z = max(z, -709.0)
        t = _fma(z, 1.4426950408889634, 6755399441056767.0)
        k = t - 6755399441056767.0
        f = _fma(k, -0.693147180369123816490, z)
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
        return p * _float(_bits(t) << int64(52))

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


def log1p_any(e: Any) -> Any:
    """``log(1 + e)`` in float64 for every ``e >= 0``, by `log1p` of what a power of 2 leaves."""


@overload(log1p_any)
def _log1p_any(e: Any) -> Any:
    def wide(e: Any) -> Any:
        u = 1.0 + e
        back = u - e
        lost = (1.0 - back) + (e - (u - back))
        # From the bits of sqrt(1/2): what is left lies around 1.
        k = (_bits(u) - int64(0x3FE6A09E667F3BCD)) >> int64(52)
        m = _float(_bits(u) - (k << int64(52)))
        lost = lost * _float((int64(1023) - k) << int64(52)) / m
        n = float64(k)
        small = lost + n * 1.90821492927058770002e-10
        return n * 0.693147180369123816490 + (log1p(m - 1.0) + small)

    return wide
