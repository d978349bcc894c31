"""The losses of torch.nn.functional, and the classes of torch.nn as callables."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import xentropy
from xentropy.errors import DTypeError, OptionError, ShapeError
from xentropy.validation import Call

from . import _steps as steps
from ._speech import spoken

__all__ = ["cross_entropy", "mse_loss"]

_NAN = float("nan")
_spoken = functools.partial(
    spoken, {DTypeError: RuntimeError, ShapeError: ValueError, OptionError: ValueError}
)


def _reduction(size_average: Any, reduce: Any, reduction: Any) -> Any:
    """What the deprecated arguments mean, which come first."""
    if size_average is not None or reduce is not None:
        warnings.warn("size_average and reduce are deprecated: use reduction.", stacklevel=4)
        if reduce is False:
            return "none"
        return "mean" if size_average is not False else "sum"
    if reduction not in ("none", "mean", "sum"):
        msg = f"`reduction` must be 'none', 'mean' or 'sum', not {reduction!r}."
        raise OptionError(msg)
    return reduction


@_spoken(logits="input", labels="target", class_weight="weight")
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """``torch.nn.functional.cross_entropy`` of 2.13."""
    how = _reduction(size_average, reduce, reduction)
    call = Call("cross_entropy", input=input, target=target, weight=weight)
    x, t, w = (call.given[name] for name in ("input", "target", "weight"))
    axis = 1 if x.ndim > 1 else 0
    options = {"axis": axis, "class_weight": w, "label_smoothing": label_smoothing}
    if tuple(x.shape) == tuple(t.shape):
        loss = functools.partial(xentropy.softmax_cross_entropy, x, t, **options)
        if how == "mean":
            return steps.cast(steps.mean(loss(), None, None, of_none=_NAN), x.dtype)
    else:
        index = {**options, "ignore_index": ignore_index}
        loss = functools.partial(xentropy.sparse_softmax_cross_entropy, x, t, **index)
    if how == "mean":
        return steps.cast(steps.quotient(loss(reduction="partial"), of_none=_NAN), x.dtype)
    return steps.cast(loss(reduction=how), x.dtype)


@_spoken(predictions="input", targets="target")
def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """``torch.nn.functional.mse_loss`` of 2.13."""
    how = _reduction(size_average, reduce, reduction)
    call = Call("mse_loss", input=input, target=target, weight=weight)
    x, t, w = (call.given[name] for name in ("input", "target", "weight"))
    losses = xentropy.squared_error(x, t)
    if w is not None:
        losses = steps.multiply(losses, w)
    if how == "none":
        return steps.cast(losses, x.dtype)
    if how == "sum":
        return steps.cast(steps.total(losses), x.dtype)
    return steps.cast(steps.mean(losses, w, of_none=_NAN), x.dtype)
