"""What Numba lacks: pointers, casts, additions in any order, stores past the cache.

And the ways to compile a function.
"""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

__all__ = [
    "add",
    "bits",
    "cast",
    "entry",
    "fma",
    "from_bits",
    "greater",
    "helper",
    "inlined",
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
def bits(typing_context: Any, x: Any) -> Any:
    """The bits of a number, as an integer."""
    return _bitcast(types.int32 if x == types.float32 else types.int64, x)


@intrinsic
def from_bits(typing_context: Any, x: Any) -> Any:
    """The number of bits."""
    return _bitcast(types.float32 if x == types.int32 else types.float64, x)


@intrinsic
def fma(typing_context: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once."""

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
