"""The plain cross-entropy of a few rows in NumPy: in float64, where a difference loses nothing.

What float32 saves is less than each of the operations costs that make up for its rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["MOST", "plain_rows"]

Array = npt.NDArray[Any]

MOST = 2**14
"""Numbers up to which it pays."""


def plain_rows(x: Array, y: Array, upstream: float, losses: Array, out: Array) -> bool:
    """Write the losses, and their gradients if ``out`` has a size; False if a label is wrong.

    Parameters
    ----------
    x : array, shape (N, C)
        Logits, in less than float64.
    y : array, int64, shape (N,)
        Indices.
    upstream : float
        The cotangent of each loss.
    losses : array, float32, shape (N,)
        To be written.
    out : array, shape (N, C)
        To be written, in the dtype of ``x``.
    """
    if y.view(np.uint64).max() >= x.shape[1]:
        return False
    with np.errstate(all="ignore"):
        v, r = x.astype(np.float64), np.arange(y.size)
        peak = r, v.argmax(axis=1)  # the first NaN, if any
        top = v[peak]
        v -= top[:, None]
        drop = -v[r, y]
        e = np.exp(v, out=v)
        e[peak] = 0
        rest = np.add.reduce(e, axis=1)
        rest += top - top  # NaN where the row has no softmax
        losses[...] = np.log1p(rest) + drop
        if out.size:
            e[peak] = 1
            e[r, y] = e[r, y] - 1 - rest
            np.multiply(
                e, (upstream / (1 + rest))[:, None], out=out.reshape(x.shape), casting="same_kind"
            )
    return True
