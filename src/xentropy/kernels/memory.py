"""Where the rows of an array lie in memory, and the dtypes that kernels know."""

from __future__ import annotations

import ctypes
import functools
import itertools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

__all__ = [
    "ABSENT",
    "Rows",
    "address",
    "dtype_name",
    "memory_for",
    "named",
    "narrowed",
    "plain",
    "result_of",
    "rows_of",
    "widened",
]

Array = npt.NDArray[Any]

ABSENT = np.empty(0, np.int64)
"""Stands for starts that are not needed, and for labels."""
APART = 4096
"""Up to so many classes are read where they lie apart: each line of memory serves some rows."""
_HEAD, _read = object.__basicsize__, ctypes.c_size_t.from_address
_WIDE = frozenset((np.dtype(np.float32), np.dtype(np.float64)))
_BITS = {"float16": np.int16, "bfloat16": np.uint16}


class Rows(NamedTuple):
    """The rows of an array along one axis: an element is ``flat[starts[r] + step * c]``."""

    flat: Array
    starts: Array  # int64, shape (N,); of size 0 where row r starts at r * n
    step: int
    length: int
    n: int
    shape: tuple[int, ...]  # of the array with the axis last
    strides: tuple[int, ...] | None  # of its elements, where the classes lie apart
    axis: int
    dtype: Any  # of the array as it came


def address(x: Array) -> int:
    """Where the memory of an array begins, which must live as long; 0 if it is empty.

    ``x.ctypes.data`` takes 0.8 us to tell the first field of an array, which follows its head:
    https://numpy.org/doc/stable/reference/c-api/types-and-structures.html#c.PyArrayObject
    """
    return _read(id(x) + _HEAD).value if x.size else 0


@functools.cache
def dtype_name(dtype: Any) -> str:
    """The name of a NumPy dtype, which takes NumPy 3 us to say."""
    return str(dtype.name)


def plain(x: Array) -> Array:
    """Contiguous and in native byte order, half precision as its bits, 8 bits widened."""
    flags = x.flags
    return _known(x if flags.c_contiguous and flags.aligned else np.require(x, None, ["C", "A"]))


def _known(x: Array) -> Array:
    if x.dtype in _WIDE:
        return x
    if not x.dtype.isnative:
        x = x.astype(x.dtype.newbyteorder("="))
    name = dtype_name(x.dtype)
    if name.startswith("float8"):
        return x.astype(np.float32)
    return x.view(_BITS[name]) if name in _BITS else x


def named(x: Array, dtype: Any) -> Array:
    """The inverse of `plain`: the numbers again in a dtype, in native byte order."""
    native = dtype.newbyteorder("=")
    return x.view(native) if native.itemsize == x.dtype.itemsize else x.astype(native)


def widened(x: Array) -> Array:
    """Numbers that NumPy computes with, of any that lie in memory, also of the bits of bfloat16."""
    x = plain(x)
    if x.dtype == np.uint16:
        return (x.astype(np.uint32) << 16).view(np.float32)
    return x.view(np.float16) if x.dtype == np.int16 else x


def narrowed(values: Array, dtype: Any) -> Array:
    """The inverse, rounded to nearest even: half precision as its bits."""
    if dtype == np.int16:
        return values.astype(np.float16).view(np.int16)
    if dtype == np.uint16:
        bits = values.view(np.uint32)
        rounded = (bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))) >> 16
        return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype(np.uint16)
    return values


def rows_of(x: Array, axis: int, by_strides: bool) -> Rows:
    """Find the rows; with ``by_strides`` without a copy, where memory can be read so at all."""
    moved = x if axis == -1 else np.moveaxis(x, axis, -1)
    n = moved.shape[-1]
    count, found, known = moved.size // n, None, moved
    if by_strides and not moved.flags.c_contiguous and moved.flags.aligned:
        known = _known(moved)
        found = _strided(known, n)
    flat, starts, step = found or (plain(moved).reshape(-1), ABSENT, 1)
    strides = None
    if step != 1:
        strides = tuple(s // known.itemsize for s in known.strides)
    return Rows(flat, starts, step, count, n, moved.shape, strides, axis, x.dtype)


def _strided(x: Array, n: int) -> tuple[Array, Array, int] | None:
    """The memory of an array, the starts of its rows, and its step; None where it is to be copied.

    Classes that lie apart are read only where the array fills its memory, as the gradient will.
    """
    if not any(x.strides):  # one number everywhere
        return np.full(n, x.flat[0]), np.zeros(x.size // n, np.int64), 1
    strides = [s // x.itemsize for s in x.strides]
    step = strides[-1] if n > 1 else 1
    span = 1 + sum((k - 1) * s for k, s in zip(x.shape, strides, strict=True))
    if min(strides) < 0 or (step != 1 and (n > APART or not _is_full(x.shape, strides))):
        return None
    starts: Any = np.zeros(1, np.int64)
    for k, s in zip(x.shape[:-1], strides[:-1], strict=True):
        starts = np.add.outer(starts, np.arange(k) * s)
    return as_strided(x, (span,), (x.itemsize,)), starts.reshape(-1), step


def _is_full(shape: tuple[int, ...], strides: list[int]) -> bool:
    """Whether an array fills its memory, each number once."""
    pairs = sorted((s, k) for k, s in zip(shape, strides, strict=True) if k > 1)
    expected = itertools.accumulate((k for _, k in pairs), operator.mul, initial=1)
    return all(s == e for (s, _), e in zip(pairs, expected, strict=False))


def memory_for(rows: Rows, empty: Callable[..., Array]) -> Array:
    """Memory for a gradient as kernels write it."""
    return empty((rows.length * rows.n,), rows.flat.dtype)


def result_of(rows: Rows, flat: Array) -> Array:
    """The gradient that was written, in the shape and dtype of the array."""
    if rows.strides is None:
        moved = flat.reshape(rows.shape)
    else:
        moved = as_strided(flat, rows.shape, tuple(s * flat.itemsize for s in rows.strides))
    whole = named(moved, rows.dtype)
    return whole if rows.axis == -1 else np.moveaxis(whole, -1, rows.axis)
