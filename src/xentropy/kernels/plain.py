"""The cross-entropy of index labels without options, in as few steps as it can be called.

Most calls are that, and in small ones the arguments cost more than the arithmetic.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas import reduction as reductions
from xentropy.formulas import softmax

from . import small
from .by_row import Numbers
from .calls import engine, has_numba, total
from .memory import ABSENT, named
from .memory import plain as as_plain
from .threads import run

__all__ = ["by_formulas", "cross_entropy", "serves"]

Array = npt.NDArray[Any]

_NOTHING_SAVED = np.empty((0, 4))
_FLOAT32, _FLOAT64, _INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)


@functools.cache
def _absent(real: Any) -> tuple[Any, ...]:
    """The rest of a `sums.Given` without options."""
    matrix = np.empty((1, 0), real)
    options = tuple(Numbers())
    return (matrix, np.empty(0, real), matrix, np.empty((1, 0), np.bool_), options, np.empty(0))


def serves(x: Array, labels: Array, reduction: str) -> bool:
    """Whether `cross_entropy` takes these arrays.

    Sums of float64 losses need more than float64, and are left to the formulas.
    """
    if x.shape[:-1] != labels.shape or labels.dtype != _INT64:
        return False
    if not (x.flags.c_contiguous and labels.flags.c_contiguous):
        return False
    if reduction not in ("none", "mean", "sum") or (reduction != "none" and x.dtype == _FLOAT64):
        return False
    if has_numba():
        return x.size > 0
    return 0 < x.size <= small.MOST and x.dtype == _FLOAT32


def cross_entropy(
    x: Array,
    labels: Array,
    reduction: str,
    upstream: float | None = None,
    empty: Callable[..., Array] = np.empty,
) -> tuple[Array, Array | None] | None:
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
    rows, y = as_plain(x).reshape(-1, x.shape[-1]), labels.reshape(-1)
    real = _FLOAT64 if x.dtype == _FLOAT64 else _FLOAT32
    losses = empty(y.shape, real)
    out = np.empty(0, rows.dtype) if upstream is None else empty((rows.size,), rows.dtype)
    if not _evaluate(rows, y, upstream or 0.0, losses, out):
        return None
    gradient = None if upstream is None else named(out, x.dtype).reshape(x.shape)
    if reduction == "none":
        return losses.reshape(labels.shape), gradient
    result, divisor = empty((1,), real), y.size if reduction == "mean" else 1
    _reduce(losses, divisor, result)
    return result.reshape(()), gradient


def _reduce(losses: Array, divisor: int, out: Array) -> None:
    if has_numba():
        kernels = engine(of_elements=True)
        if losses.size <= kernels.BLOCK:
            kernels.reduce(losses, divisor, out)
            return
    with np.errstate(all="ignore"):
        out[0] = total(losses) / divisor


def _evaluate(x: Array, y: Array, upstream: float, losses: Array, out: Array) -> bool:
    if not has_numba():
        return small.plain_rows(x, y, upstream, losses, out)
    n = x.shape[1]
    call = (x.reshape(-1), ABSENT, 1, n, y, *_absent(losses.dtype))
    arguments = (call, upstream, losses, _NOTHING_SAVED, out)
    return run(engine(False).index_rows, arguments, y.size, x.size) == 0


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
