"""The losses of torch of classes that exclude one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._options import number
from xentropy.dispatch import is_weak
from xentropy.errors import DTypeError, OptionError, ShapeError
from xentropy.formulas.log_probability import log_probability
from xentropy.reduction import reduce as reduced_by_core
from xentropy.validation import rows

from ._call import (
    NAN,
    arguments,
    floating,
    is_given,
    of_torch,
    promoted,
    reduced,
    reduction_of,
    widened,
)
from ._linear import linear

__all__ = ["cross_entropy", "linear_cross_entropy", "nll_loss"]


@of_torch(logits="input", labels="target", class_weight="weight")
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
    """``torch.nn.functional.cross_entropy`` of 2.13: classes lie along axis 1.

    A target of the shape of ``input`` holds probabilities, whose mean divides by the number of
    rows also with ``weight``. Ignored rows have gradient 0 whatever they hold, and a probability
    of 0 drops a logit of -inf.

    * ``input``: logits, classes along axis 1, or 0 of one row.
    * ``target``: int64 or uint8 indices, or probabilities in the shape of ``input``.
    * ``weight``: a factor for each class; with indices it also divides the mean.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``ignore_index``: the index of rows to leave out.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``label_smoothing``: the share that goes to all classes alike, at most 1; below 0 it is
      0.
    """
    how = reduction_of(input, reduction, size_average, reduce)
    call, x, t, w = arguments("cross_entropy", input=input, target=target, weight=weight)
    floating(call, x, "input")
    loss, shape = _of_logits(call, x), tuple(x.shape)
    return _cross_entropy(call, loss, shape, t, w, ignore_index, how, label_smoothing)


def _of_logits(call: Call, x: Any) -> Callable[..., Any]:
    """The losses of checked logits, which may have more digits than ``input``."""
    axis = 1 if x.ndim > 1 else 0

    def loss(labels: Any, dtype: Any = None, **options: Any) -> Any:
        """Of indices, or of probabilities if a dtype is given."""
        if dtype is None:
            return xentropy.sparse_softmax_cross_entropy(x, labels, axis=axis, **options)
        return xentropy.softmax_cross_entropy(widened(call, x, dtype), labels, axis=axis, **options)

    return loss


def _of_layer(call: Call, x: Any, weight: Any, bias: Any) -> Callable[..., Any]:
    """The losses of a layer, whose logits are never held all at once."""

    def loss(labels: Any, dtype: Any = None, **options: Any) -> Any:
        wide = x if dtype is None else widened(call, x, dtype)
        return _linear_losses(wide, weight, labels, bias=bias, **options)

    return loss


@of_torch(
    hidden="input",
    weight="linear_weight",
    bias="linear_bias",
    labels="target",
    class_weight="weight",
)
def _linear_losses(*args: Any, **kwargs: Any) -> Any:
    """The core's, in whose words `weight` is the layer's."""
    return xentropy.linear_cross_entropy(*args, **kwargs)


def _cross_entropy(
    call: Call,
    loss: Callable[..., Any],
    shape: tuple[Any, ...],
    t: Any,
    w: Any,
    ignore_index: int,
    how: str,
    label_smoothing: Any,
) -> Any:
    """The same of logits of a shape."""
    _class_weight(call, w)
    smoothing = max(number(call, "label_smoothing", label_smoothing), 0.0)
    options = {"class_weight": w, "label_smoothing": smoothing}
    if shape == tuple(t.shape):
        floating(call, t, "target")
        if ignore_index >= 0:
            rule = "`ignore_index` must be negative where `target` holds probabilities."
            call.fail(OptionError, rule, "target")
        dtype = promoted(call, "input", "target", "weight", by_rank=True)
        return reduced(loss(t, dtype, **options), how, dtype)
    _index(call, len(shape), t)
    dtype = call.x.dtype
    options["ignore_index"] = ignore_index
    labels = call.given["target"]
    if how != "mean":
        options["reduction"] = how
        return steps.cast(loss(labels, **options), dtype)
    part = loss(labels, reduction="partial", **options)
    return steps.cast(steps.quotient(part, of_none=NAN), dtype)


@of_torch(labels="target", class_weight="weight")
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """``torch.nn.functional.nll_loss`` of 2.13, from log-probabilities along axis 1.

    * ``input``: log-probabilities, classes along axis 1, or 0 of one row.
    * ``target``: int64 or uint8 indices.
    * ``weight``: a factor for each class, which also divides the mean.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``ignore_index``: the index of rows to leave out.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(input, reduction, size_average, reduce)
    call, x, t, w = arguments("nll_loss", input=input, target=target, weight=weight)
    floating(call, x, "input")
    if not x.ndim:
        call.fail(ShapeError, "`input` must have an axis of classes.", "input")
    _class_weight(call, w)
    _index(call, x.ndim, t)
    inner = Call(
        "nll_loss",
        input=x,
        labels=call.given["target"],
        class_weight=w,
        reduction="partial" if how == "mean" else how,
    )
    rows(inner, "index", axis=1 if x.ndim > 1 else 0, ignore_index=ignore_index)
    found = reduced_by_core(inner, inner.apply(log_probability, inner.class_weight))
    return steps.cast(steps.quotient(found, of_none=NAN) if how == "mean" else found, x.dtype)


@of_torch(logits="input", labels="target", class_weight="weight")
def linear_cross_entropy(
    input: Any,
    linear_weight: Any,
    target: Any,
    *,
    linear_bias: Any = None,
    weight: Any = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: Any = None,
) -> Any:
    """``torch.nn.functional.linear_cross_entropy`` of 2.13: the loss of ``input @ weight.T``.

    ``options``, which say how much memory it takes there, change nothing.

    * ``input``: features, of shape (N, D) or (D,).
    * ``linear_weight``: the layer, of shape (C, ..., D).
    * ``target``: indices, or probabilities in the shape of the logits.
    * ``linear_bias``: added to the logits, of shape (C, ...).
    * ``weight``: a factor for each class.
    * ``reduction``: "none", "mean" or "sum".
    * ``ignore_index``: the index of rows to leave out; None is -100.
    * ``label_smoothing``: the share that goes to all classes alike.
    * ``options``: no effect: how much memory it takes there.
    """
    how = reduction_of(input, reduction)
    call, x, head, t, bias, w = arguments(
        "linear_cross_entropy",
        input=input,
        linear_weight=linear_weight,
        target=target,
        linear_bias=linear_bias,
        weight=weight,
    )
    floating(call, x, "input")
    shape = _logits_shape(call, x, head, bias)
    if ignore_index is not None and shape == tuple(t.shape):
        rule = "`ignore_index` must be None where `target` holds probabilities."
        call.fail(OptionError, rule, "target")
    if len(shape) == t.ndim and shape != tuple(t.shape):
        rule = "`target` must hold indices, or probabilities in the shape of the logits."
        call.fail(ShapeError, rule, "input", "linear_weight", "target")
    loss = _of_layer(call, x, head, bias)
    if head.ndim > 2:  # a layer for each place of the other axes
        loss = _of_logits(call, _logits(call, x, head, bias, shape))
    ignored = -100 if ignore_index is None else ignore_index
    return _cross_entropy(call, loss, shape, t, w, ignored, how, label_smoothing)


def _logits(call: Call, x: Any, head: Any, bias: Any, shape: tuple[Any, ...]) -> Any:
    dtype = getattr(call.backend.xp, call.dtype)
    rows = linear(
        steps.cast(x, dtype),
        steps.reshape(steps.cast(head, dtype), (-1, x.shape[-1])),
        None if bias is None else steps.reshape(steps.cast(bias, dtype), (-1,)),
    )
    return steps.reshape(rows, tuple(-1 if n is None else n for n in shape))


def _logits_shape(call: Call, x: Any, head: Any, bias: Any) -> tuple[Any, ...]:
    for name, array in (("linear_weight", head), ("linear_bias", bias)):
        if is_given(call, name) and array.dtype != x.dtype:
            call.fail(DTypeError, f"`{name}` must have the dtype of `input`.", "input", name)
    if x.ndim not in (1, 2):
        call.fail(ShapeError, "`input` must have one axis or two.", "input")
    if head.ndim < 2 or head.shape[-1] != x.shape[-1]:
        rule = "`linear_weight` must be of shape (C, ..., D), its last axis that of `input`."
        call.fail(ShapeError, rule, "input", "linear_weight")
    classes = tuple(head.shape[:-1])
    if bias is not None and tuple(bias.shape) != classes:
        rule = "`linear_bias` must have the shape of `linear_weight` without its last axis."
        call.fail(ShapeError, rule, "linear_weight", "linear_bias")
    if len(classes) > 1 and x.ndim == 1:
        rule = "`input` must have two axes where `linear_weight` has more than two."
        call.fail(ShapeError, rule, "input", "linear_weight")
    return (*x.shape[:-1], *classes)


def _class_weight(call: Call, w: Any) -> None:
    if w is not None and w.ndim != 1:
        call.fail(ShapeError, "`weight` must have one entry a class.", "input", "weight")


_INDICES = ("int64", "uint8")


def _index(call: Call, rank: int, t: Any) -> None:
    """Check what the core leaves open of indices: their dtype, and that of the weights."""
    if t.ndim >= rank and call.kind(t) == "float":
        rule = "`target` must hold indices, or probabilities in the shape of `input`."
        call.fail(ShapeError, rule, "input", "target")
    given = call.given["target"]
    dtype = np.asarray(given).dtype.name if is_weak(given) else call.backend.dtype_name(given)
    # The widest integers of JAX are those of 32 bits, where it is not told otherwise.
    known = dtype in (*_INDICES, call.backend.index_dtype(t))
    if not known and (hasattr(given, "dtype") or math.prod(t.shape)):  # an empty list has none
        call.fail(DTypeError, "`target` must be int64 or uint8.", "target")
    if is_given(call, "weight") and call.given["weight"].dtype != call.x.dtype:
        call.fail(DTypeError, "`weight` must have the dtype of `input`.", "input", "weight")
