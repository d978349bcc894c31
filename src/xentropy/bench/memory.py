"""The most memory that a call holds at a time, from the high-water mark that Linux keeps."""

from __future__ import annotations

import ctypes
import gc
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xentropy.kernels import pool

from .timing import Timed

__all__ = ["available", "beyond", "size"]

_SELF = Path("/proc/self")
_RESET_THE_MARK = "5"


def available() -> int | None:
    """Return the bytes that may be taken without swapping; None where the system does not say."""
    try:
        found = re.search(r"^MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def beyond(function: Timed) -> int | None:
    """Return the bytes that a call needs beyond its arguments and its result.

    None where there is no such mark, or it cannot be set back: other systems than Linux.
    """
    arguments = function.prepare() if function.prepare else ()
    donated = size(arguments)
    gc.collect()
    _give_back()
    try:
        (_SELF / "clear_refs").write_text(_RESET_THE_MARK)
        before = _kilobytes("VmRSS")
        result = function.call(*arguments)
        most = _kilobytes("VmHWM")
    except OSError:
        return None
    return max(0, (most - before) * 1024 - max(0, size(result) - donated))


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s*(\d+) kB", (_SELF / "status").read_text(), re.M)
    if found is None:
        raise OSError(name)
    return int(found.group(1))


def _give_back() -> None:
    """Give free memory back to the system, or a call that takes it again would not be seen."""
    pool.clear()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def size(result: Any) -> int:
    """Return the bytes of an array of any framework, or of all in a tuple."""
    if isinstance(result, Sequence):
        return sum(map(size, result))
    if not hasattr(result, "dtype"):
        return 0
    itemsize = getattr(result.dtype, "itemsize", None) or result.dtype.size
    return int(math.prod(result.shape)) * int(itemsize)
