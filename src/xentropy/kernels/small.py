"""The plain cross-entropy of a few rows in NumPy: in float64, where a difference loses nothing.

What float32 saves is less than each of the operations costs that make up for its rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from .engine import Found

__all__ = ["MOST", "plain_losses"]

Array = npt.NDArray[Any]

MOST = 2**14
"""Numbers up to which it pays."""


def plain_losses(
    x: Array,
    labels: Array,
    count: int,
    n: int,
    dtype: Any,
    divisor: int | None,
    upstream: float | None,
    empty: Callable[..., Array],
) -> Found:
    """`Engine.plain_losses` of arrays, in less than float64."""
    v, y, r = x.reshape(count, n).astype(np.float64), labels.reshape(-1), np.arange(count)
    if y.view(np.uint64).max() >= n:
        return None
    with np.errstate(all="ignore"):
        peak = r, v.argmax(axis=1)  # the first NaN, if any
        top = v[peak]
        v -= top[:, None]
        drop = -v[r, y]
        e = np.exp(v, out=v)
        e[peak] = 0
        rest = np.add.reduce(e, axis=1)
        rest += top - top  # NaN where the row has no softmax
        losses, out = empty((count,), np.float32), None
        losses[...] = np.log1p(rest) + drop
        if upstream is not None:
            e[peak] = 1
            e[r, y] = e[r, y] - 1 - rest
            out = empty((count * n,), dtype)
            e *= (upstream / (1 + rest))[:, None]
            out.reshape(count, n)[...] = e
        if divisor is None:
            return losses, out
        result = empty((), np.float32)
        result[...] = np.add.reduce(losses, dtype=np.float64) / divisor
    return result, out
