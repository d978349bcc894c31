"""The cross-entropy of index labels without options, in as few steps as it can be called.

Most calls are that, and in small ones the arguments cost more than the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas import reduction as reductions
from xentropy.formulas import softmax

from . import pool, small
from .engine import Found, engine, has_numba
from .memory import named
from .memory import plain as as_plain

__all__ = ["by_formulas", "cross_entropy", "fits", "of_memory", "serves"]

Array = npt.NDArray[Any]

_FLOAT32, _FLOAT64, _INT64 = map(np.dtype, ("float32", "float64", "int64"))


def serves(x: Array, labels: Array, reduction: str) -> bool:
    """Whether `cross_entropy` takes these arrays."""
    if labels.dtype != _INT64 or not (x.flags.c_contiguous and labels.flags.c_contiguous):
        return False
    small_enough = has_numba() or (x.size <= small.MOST and x.dtype == _FLOAT32)
    return small_enough and fits(x.shape, labels.shape, x.dtype, reduction)


def fits(shape: tuple[int, ...], outer: tuple[int, ...], dtype: Any, reduction: str) -> bool:
    """Whether logits of this shape and dtype are served with labels of shape ``outer``.

    Sums of float64 losses need more than float64, and are left to the formulas.
    """
    if reduction != "none" and (dtype == _FLOAT64 or reduction not in ("mean", "sum")):
        return False
    return shape[:-1] == outer and 0 not in shape


def cross_entropy(
    x: Array,
    labels: Array,
    reduction: str,
    upstream: float | None = None,
    empty: Callable[..., Array] = pool.empty,
) -> Found:
    """The losses or their reduction, and with ``upstream`` the gradient; None if a label is wrong.

    Parameters
    ----------
    x : array, shape (..., C)
        The logits, which `serves` has seen.
    labels : array, int64, shape (...)
        Indices.
    reduction : {"none", "sum", "mean"}
        As in the loss.
    upstream : float, optional
        The cotangent of each loss.
    empty : callable
        Allocates what is returned.
    """
    kernels, bits = engine(), as_plain(x)
    memory = kernels.lend(bits), kernels.lend(labels)
    found = of_memory(*memory, x.shape, bits.dtype, reduction, upstream, empty)
    if found is None or found[1] is None:
        return found
    return found[0], named(found[1], x.dtype)


def of_memory(
    x: Any,
    labels: Any,
    shape: tuple[int, ...],
    dtype: Any,
    reduction: str,
    upstream: float | None,
    empty: Callable[..., Array] = pool.empty,
) -> Found:
    """`cross_entropy` of what the kernels know of contiguous arrays: addresses, if compiled.

    ``shape`` and ``dtype`` are those of the logits, half precision as its bits.
    """
    *outer, n = shape
    count = math.prod(outer)
    divisor = None if reduction == "none" else count if reduction == "mean" else 1
    found = engine().plain_losses(x, labels, count, n, dtype, divisor, upstream, empty)
    if found is None:
        return None
    result, out = found
    if len(outer) != 1 and divisor is None:
        result = result.reshape(outer)
    return result, None if out is None else out.reshape(shape)


def by_formulas(apply: Callable[..., Any], x: Any, labels: Any, reduction: str, dtype: str) -> Any:
    """The same by formulas, which can be differentiated; ``labels`` have the rank of ``x``."""
    arrays = (x, labels, None, None, None, None)
    options = {"axis": -1, "smoothing": None, "z_loss": None, "dtype": dtype}
    losses = apply(softmax.cross_entropy_index, arrays, options)
    options = {"dtype": "float64", "result": dtype}
    if reduction == "none":
        return losses
    if reduction == "sum":
        return apply(reductions.total, (losses,), options)
    return apply(reductions.mean, (losses, None, None), options)
