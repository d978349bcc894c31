"""Memory for results: that of large ones, once nobody holds them, serves the next ones.

A system clears each page that it hands out, which takes as long as a kernel takes to fill it. What
waits here are a few results at most: small ones as they are, as `free` would keep them; larger ones
are offered back to the system, which takes them when it needs memory (MADV_FREE), and until then
counts them as the process's. Where a system knows no such offer, no larger ones wait.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Any

import numpy as np
import numpy.typing as npt

from .memory import address

__all__ = ["aligned", "clear", "empty"]

Array = npt.NDArray[Any]

LARGE = 2**18
"""Numbers of a result from which on its memory is kept."""
OFFERED = 2**24
"""Bytes from which on it is offered; of small pages each would be marked as written to again."""
MOST = 4
"""Results whose memory may wait: losses and gradients of one call and of the one before."""
LINE = 64
"""Bytes of a cache line."""

_waiting: list[mmap.mmap] = []


def empty(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of any numbers; a large one begins with a page."""
    count = math.prod(shape)
    if count < LARGE:
        return np.empty(shape, dtype)
    size = count * np.dtype(dtype).itemsize
    return np.asarray(_Lent(_find(size), size)).view(dtype).reshape(shape)


def aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """The same, that begins with a cache line, as TensorFlow and JAX want it."""
    dtype = np.dtype(dtype)
    size = math.prod(shape) * dtype.itemsize
    raw = empty((size + LINE,), np.uint8)
    start = -address(raw) % LINE
    return raw[start : start + size].view(dtype).reshape(shape)


def clear() -> None:
    """Return what waits to the system."""
    _waiting.clear()


def _find(size: int) -> mmap.mmap:
    """Memory that waits and is at most twice as large, or new."""
    for memory in sorted(_waiting, key=len):
        if size <= len(memory) <= 2 * size:
            try:
                _waiting.remove(memory)
            except ValueError:  # another thread was faster
                continue
            return memory
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    _advise(memory, "MADV_HUGEPAGE")
    return memory


def _advise(memory: mmap.mmap, advice: str) -> bool:
    """Whether the system takes the advice."""
    try:
        memory.madvise(getattr(mmap, advice))
    except (AttributeError, OSError):
        return False
    return True


def _keep(memory: mmap.mmap) -> None:
    if len(memory) < OFFERED or _advise(memory, "MADV_FREE"):
        _waiting.append(memory)
        del _waiting[:-MOST]


class _Lent:
    """What an array on some memory holds: it goes with the last of the array's views."""

    def __init__(self, memory: mmap.mmap, size: int) -> None:
        self._memory = memory
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (start, False),
        }

    def __del__(self) -> None:
        if _keep is not None:  # as it is when the interpreter ends
            _keep(self._memory)
