"""The losses of keras.losses that compare distributions."""

from __future__ import annotations

from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._options import number, smoothing
from xentropy.dialects._speech import warn
from xentropy.dispatch import backend_of
from xentropy.errors import OptionError
from xentropy.formulas import clipped
from xentropy.formulas.generalized import generalized
from xentropy.formulas.softmax import focal_dense
from xentropy.validation import class_vector, elementwise, rows

from ._inputs import (
    as_keras,
    axis_of,
    broadcast,
    finish,
    indices,
    require_one_shape,
    row_mean,
    taken,
)

__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_crossentropy",
]


def _gamma(call: Call, gamma: Any) -> float:
    return number(call, "gamma", gamma, "a finite number >= 0", lambda g: 0.0 <= g < float("inf"))


@as_keras
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | None = -1,
) -> Any:
    """``keras.losses.binary_crossentropy`` of 3.15: the mean over ``axis``, of all if it is None.

    Probabilities are clipped to [1e-7, 1 - 1e-7].

    * ``y_true``: 0 or 1, or between, in the shape of ``y_pred``.
    * ``y_pred``: the predictions.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: along which the mean is taken; None is all.
    """
    name = "binary_crossentropy"
    x, t = taken(name, y_true, y_pred)
    require_one_shape(name, t, x)
    axis = None if axis is None else axis_of(name, axis, x)
    if from_logits:
        losses = xentropy.sigmoid_cross_entropy(x, t, label_smoothing=label_smoothing)
    else:
        call = Call(name, probs=x, labels=t)
        elementwise(call, "labels", "binary")
        losses = call.apply(clipped.binary, smoothing=smoothing(call, label_smoothing))
    return finish(row_mean(losses, axis), x.dtype)


@as_keras
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int | None = -1,
) -> Any:
    """``keras.losses.binary_focal_crossentropy`` of 3.15.

    It is the mean over ``axis``, of all if that is None.
    Probabilities are clipped to [1e-7, 1 - 1e-7] in the logarithm.

    * ``y_true``: 0 or 1, or between, in the shape of ``y_pred``.
    * ``y_pred``: the predictions.
    * ``apply_class_balancing``: whether ``alpha`` has an effect.
    * ``alpha``: the weight of the positive class; the other has ``1 - alpha``.
    * ``gamma``: the power of ``1 - p``, at least 0.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: along which the mean is taken; None is all.
    """
    name = "binary_focal_crossentropy"
    x, t = taken(name, y_true, y_pred)
    require_one_shape(name, t, x)
    axis = None if axis is None else axis_of(name, axis, x)
    alpha = alpha if apply_class_balancing else None
    if from_logits:
        losses = xentropy.sigmoid_focal_cross_entropy(
            x, t, alpha=alpha, gamma=gamma, label_smoothing=label_smoothing
        )
    else:
        call = Call(name, probs=x, labels=t, alpha=alpha)
        elementwise(call, "labels", "binary")
        losses = call.apply(
            clipped.binary_focal,
            class_vector(call, "alpha"),
            gamma=_gamma(call, gamma),
            smoothing=smoothing(call, label_smoothing),
        )
    return finish(row_mean(losses, axis), x.dtype)


def _dtype_with(x: Any, alpha: Any) -> Any:
    """The dtype of predictions times the weights of classes; a list of floats is float32."""
    backend = backend_of(x)
    if hasattr(alpha, "dtype"):
        given = backend_of(alpha).dtype_name(alpha)
    elif isinstance(alpha, (list, tuple)) and any(isinstance(a, float) for a in alpha):
        given = "float32"
    else:
        return x.dtype
    names = {backend.dtype_name(x), given}
    if len(names) == 1:
        return x.dtype
    is_wide = "float64" in names and backend.accumulator(x) == "float64"
    return backend.xp.float64 if is_wide else backend.xp.float32


def _warn_of_one_class(name: str, x: Any) -> None:
    if x.ndim and x.shape[-1] == 1:
        text = f"{name} of one class is 0.\nHint: for two classes call binary_crossentropy."
        warn(x, text, SyntaxWarning, stacklevel=4)


@as_keras
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``keras.losses.categorical_crossentropy`` of 3.15: the sum over ``axis``.

    Probabilities are divided by their sum, then clipped to [1e-7, 1 - 1e-7]. Smoothing counts the
    classes along ``axis``.

    * ``y_true``: probabilities, in the shape of ``y_pred``.
    * ``y_pred``: the predictions.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: that of the classes.
    """
    name = "categorical_crossentropy"
    x, t = taken(name, y_true, y_pred)
    require_one_shape(name, t, x)
    axis = axis_of(name, axis, x)
    _warn_of_one_class(name, x)
    if from_logits:
        losses = xentropy.softmax_cross_entropy(x, t, axis=axis, label_smoothing=label_smoothing)
    else:
        call = Call(name, probs=x, labels=t)
        rows(call, "dense", axis=axis, kind="probs")
        losses = call.apply(clipped.categorical, smoothing=smoothing(call, label_smoothing))
    return finish(losses, x.dtype)


@as_keras
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """``keras.losses.categorical_focal_crossentropy`` of 3.15: the sum over ``axis``.

    Probabilities are divided by their sum, then clipped to [1e-7, 1 - 1e-7]; the softmax of logits
    is not. ``alpha`` is a number, or has one entry a class.

    * ``y_true``: probabilities, in the shape of ``y_pred``.
    * ``y_pred``: the predictions.
    * ``alpha``: a factor for the classes: a number, or one for each.
    * ``gamma``: the power of ``1 - p``, at least 0.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``label_smoothing``: the share that goes to all classes alike, in [0, 1].
    * ``axis``: that of the classes.
    """
    name = "categorical_focal_crossentropy"
    x, t = taken(name, y_true, y_pred)
    dtype = _dtype_with(x, alpha)
    t, x = broadcast(name, t, x)
    axis = axis_of(name, axis, x)
    x = steps.cast(x, dtype) if dtype == backend_of(x).xp.float64 else x
    _warn_of_one_class(name, x)
    call = Call(name, logits=x, labels=t, alpha=alpha)
    rows(call, "dense", axis=axis, kind="probs" if not from_logits else "logits")
    share = smoothing(call, label_smoothing)
    options = {"gamma": _gamma(call, gamma), "smoothing": share}
    weights = class_vector(call, "alpha")
    if from_logits:
        losses = call.apply(focal_dense, weights, None, z_loss=None, **options)
    else:
        losses = call.apply(clipped.categorical_focal, weights, **options)
    return finish(losses, dtype)


@as_keras
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """``keras.losses.sparse_categorical_crossentropy`` of 3.15, 0 where ``ignore_class`` is.

    Probabilities are clipped to [1e-7, 1 - 1e-7], then divided by their sum, as on TensorFlow.
    Labels that are whole floating numbers are indices.

    * ``y_true``: indices, in the shape of ``y_pred`` without ``axis`` or with 1 there.
    * ``y_pred``: the predictions.
    * ``from_logits``: whether ``y_pred`` holds logits, not probabilities.
    * ``ignore_class``: the label of examples to leave out.
    * ``axis``: that of the classes.
    """
    name = "sparse_categorical_crossentropy"
    x, t = taken(name, y_true, y_pred)
    axis = axis_of(name, axis, x)
    t = indices(without_class_axis(t, x, axis), ignore_class)
    if from_logits:
        losses = xentropy.sparse_softmax_cross_entropy(x, t, axis=axis, ignore_index=ignore_class)
    else:
        call = Call(name, probs=x, labels=t)
        rows(call, "index", axis=axis, ignore_index=ignore_class, kind="probs")
        losses = call.apply(clipped.sparse)
    return finish(losses, x.dtype)


def without_class_axis(y_true: Any, y_pred: Any, axis: int) -> Any:
    """Index labels without a class axis of length 1."""
    if y_true.ndim == y_pred.ndim and y_true.shape[axis] == 1:
        return backend_of(y_true).xp.squeeze(y_true, axis)
    return y_true


@as_keras
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """``keras.losses.categorical_generalized_cross_entropy`` of 3.15, of index labels.

    * ``y_true``: indices, in the shape of ``y_pred`` without its last axis.
    * ``y_pred``: probabilities, classes along the last axis.
    * ``q``: in (0, 1): towards 0 the cross-entropy, towards 1 the absolute error.
    """
    name = "categorical_generalized_cross_entropy"
    x, t = taken(name, y_true, y_pred)
    if not x.ndim:
        msg = "`y_pred` must have a class axis."
        raise OptionError(msg)
    call = Call(name, probs=x, labels=indices(without_class_axis(t, x, -1), None))
    rows(call, "index", axis=-1, kind="probs")
    exponent = number(call, "q", q, "in (0, 1)", lambda q: 0.0 < q < 1.0)
    return finish(call.apply(generalized, q=exponent), x.dtype)
