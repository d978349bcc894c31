"""The losses of tf.nn."""

from __future__ import annotations

from typing import Any

import numpy as np

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._labels import same
from xentropy._options import flag
from xentropy.errors import DTypeError, OptionError, ShapeError
from xentropy.formulas import sigmoid
from xentropy.formulas.formula import Formula
from xentropy.formulas.poisson import poisson
from xentropy.formulas.softmax_minus_labels import softmax_minus_labels
from xentropy.validation import elementwise, rows

from ._checks import in_dtype, index_dtype, same_dtype, same_shape, shape_of, spoken_here

__all__ = [
    "l2_loss",
    "log_poisson_loss",
    "sigmoid_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits",
    "sparse_softmax_cross_entropy_with_logits",
    "weighted_cross_entropy_with_logits",
]


@spoken_here()
def sigmoid_cross_entropy_with_logits(
    labels: Any = None, logits: Any = None, name: Any = None
) -> Any:
    """``tf.nn.sigmoid_cross_entropy_with_logits`` of 2.21.

    Infinite logits give 0 or +inf, never NaN.

    * ``labels``: probabilities, in the shape and dtype of ``logits``.
    * ``logits``: real numbers.
    * ``name``: no effect.
    """
    call = Call("sigmoid_cross_entropy", logits=logits, labels=labels)
    same_shape(call, "labels")
    same_dtype(call, "labels")
    return in_dtype(xentropy.sigmoid_cross_entropy(logits, labels), call)


def _by_positive(xp: Any, **arrays: Any) -> Any:
    return sigmoid.cross_entropy.value(xp, smoothing=None, sample_weight=None, keep=None, **arrays)


def _by_positive_partials(xp: Any, wrt: tuple[str, ...], **arrays: Any) -> Any:
    none = {"smoothing": None, "sample_weight": None, "keep": None}
    return sigmoid.cross_entropy.partials(xp, wrt, **none, **arrays)


# The same with a weight for each element.
_weighted_by_positive = Formula(
    "sigmoid_cross_entropy_by_positive",
    {"logits": "elements", "labels": "elements", "pos_weight": "elements"},
    "none",
    _by_positive,
    _by_positive_partials,
)


@spoken_here()
def weighted_cross_entropy_with_logits(
    labels: Any, logits: Any, pos_weight: Any, name: Any = None
) -> Any:
    """``tf.nn.weighted_cross_entropy_with_logits`` of 2.21.

    ``pos_weight`` broadcasts, and may enlarge the result. The gradient at logits of 0 is the true
    one.

    * ``labels``: probabilities, in the shape and dtype of ``logits``.
    * ``logits``: real numbers.
    * ``pos_weight``: a factor for the positive class.
    * ``name``: no effect.
    """
    call = Call("sigmoid_cross_entropy", logits=logits, labels=labels, pos_weight=pos_weight)
    same_shape(call, "labels")
    same_dtype(call, "labels")
    weight_shape = shape_of(call, "pos_weight")
    elementwise(call, "labels", "binary_logits")
    weight, xp = call.array("pos_weight"), call.backend.xp
    if call.kind(weight) == "other":
        call.fail(DTypeError, "`pos_weight` must be real.", "pos_weight")
    x, t = call.x, call.labels
    # JAX may be told to add no axes.
    weight = _of_rank(weight, max(len(weight_shape), x.ndim))
    if not _fits(weight_shape, tuple(x.shape)):
        try:
            np.broadcast_shapes(weight_shape, tuple(x.shape))
        except ValueError:
            rule = "`pos_weight` must broadcast with `logits`."
            call.fail(ShapeError, rule, "logits", "pos_weight")
        wide = getattr(xp, call.dtype)
        x, t = (_of_rank(steps.cast(a, wide), weight.ndim) for a in (x, t))
        like = xp.zeros_like(x) + xp.astype(xp.zeros_like(weight), wide)
        x, t = steps.broadcast(x, like), steps.broadcast(t, like)
    losses = call.backend.apply(_weighted_by_positive, (x, t, weight), {"dtype": call.dtype})
    return in_dtype(losses, call)


def _of_rank(x: Any, ndim: int) -> Any:
    """With new axes in front."""
    for _ in range(ndim - x.ndim):
        x = steps.expand(x)
    return x


def _fits(shape: tuple[Any, ...], full: tuple[Any, ...]) -> bool:
    """Whether it broadcasts to ``full``, as far as the lengths are known."""
    extra = len(full) - len(shape)
    return extra >= 0 and all(
        n == 1 or n is None or m is None or n == m for n, m in zip(shape, full[extra:], strict=True)
    )


@spoken_here()
def softmax_cross_entropy_with_logits(
    labels: Any, logits: Any, axis: int = -1, name: Any = None
) -> Any:
    """``tf.nn.softmax_cross_entropy_with_logits`` of 2.21.

    As documented there, the gradient is ``softmax(logits) - labels`` also where labels do not sum
    to 1. Unlike there a logit of -inf whose label is 0 counts nothing.

    * ``labels``: probabilities, one row for each of ``logits`` or one for all.
    * ``logits``: real numbers.
    * ``axis``: that of the classes: -1 or not negative.
    * ``name``: no effect.
    """
    call = Call("softmax_cross_entropy", logits=logits, labels=labels)
    shape, full = shape_of(call, "labels"), shape_of(call, "logits")
    if axis not in (-1, *range(len(full))) or not full:
        call.fail(OptionError, f"`axis` must be -1 or in [0, {len(full)}).", "logits")
    axis = axis % len(full)
    if len(shape) == 1 and axis == len(full) - 1:
        shape = (1,) * axis + shape
        _add_axes(call, axis)
    others = shape[:axis] + shape[axis + 1 :]
    one_row, rows_of_logits = set(others) == {1}, full[:axis] + full[axis + 1 :]
    if len(shape) != len(full) or not (one_row or all(map(same, others, rows_of_logits))):
        rule = "`labels` must have the rank and the rows of `logits`, or one row for all."
        call.fail(ShapeError, rule, "logits", "labels")
    rows(call, "dense", axis=axis)
    return in_dtype(call.apply(softmax_minus_labels, smoothing=None), call)


def _add_axes(call: Call, n: int) -> None:
    """Give a vector of labels so many axes in front of its own."""
    t = call.given["labels"]
    t = t if hasattr(t, "shape") else np.asarray(t)
    call.given = {**call.given, "labels": steps.reshape(t, (1,) * n + (-1,))}


@spoken_here()
def sparse_softmax_cross_entropy_with_logits(labels: Any, logits: Any, name: Any = None) -> Any:
    """``tf.nn.sparse_softmax_cross_entropy_with_logits`` of 2.21.

    * ``labels``: int32 or int64 indices, in the shape of ``logits`` without its last axis.
    * ``logits``: real numbers, classes along the last axis.
    * ``name``: no effect.
    """
    call = Call("sparse_softmax_cross_entropy", logits=logits, labels=labels)
    index_dtype(call, "labels")
    return in_dtype(xentropy.sparse_softmax_cross_entropy(logits, labels), call)


@spoken_here(predictions="t")
def l2_loss(t: Any, name: Any = None) -> Any:
    """``tf.nn.l2_loss`` of 2.21: half the sum of the squares.

    * ``t``: the numbers.
    * ``name``: no effect.
    """
    call = Call("squared_error", predictions=t)
    return in_dtype(xentropy.squared_error(t, 0.0, sample_weight=0.5, reduction="sum"), call)


@spoken_here()
def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: Any = None
) -> Any:
    """``tf.nn.log_poisson_loss`` of 2.21.

    The gradient by targets of 0 is finite in full too.

    * ``targets``: counts, in the shape and dtype of ``log_input``.
    * ``log_input``: the logarithms of rates.
    * ``compute_full_loss``: whether to add Stirling's term.
    * ``name``: no effect.
    """
    call = Call("log_poisson_loss", log_input=log_input, targets=targets)
    same_shape(call, "targets")
    same_dtype(call, "targets")
    elementwise(call, "targets", "values")
    full = "outside [0, 1]" if flag(call, "compute_full_loss", compute_full_loss) else ""
    return in_dtype(call.apply(poisson, log_input=True, eps=0.0, full=full), call)
