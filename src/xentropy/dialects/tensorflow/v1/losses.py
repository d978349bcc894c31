"""The losses of tf.compat.v1.losses.

Weights are a number or have the rank of the losses, each length equal or 1. A weight of 0 leaves a
loss out whatever it is, also NaN. ``scope`` and ``loss_collection`` have no effect.
"""

from __future__ import annotations

from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._options import number, smoothing
from xentropy.dialects.tensorflow._checks import in_dtype, index_dtype, shape_of, spoken_here
from xentropy.formulas.log_loss import log_loss as _log_loss
from xentropy.formulas.softmax_minus_labels import softmax_minus_labels
from xentropy.validation import elementwise, rows

from ._weighted import Reduction, begin, floating, reduce

__all__ = [
    "Reduction",
    "absolute_difference",
    "huber_loss",
    "log_loss",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]

_LOSSES = "losses"


@spoken_here(labels="onehot_labels", sample_weight="weights")
def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.softmax_cross_entropy`` of 2.21.

    The gradient by the labels is 0, and by the logits ``softmax(logits) - labels`` also where
    labels do not sum to 1.

    * ``onehot_labels``: probabilities, in the shape of ``logits``.
    * ``logits``: real numbers, classes along the last axis.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``label_smoothing``: the share that goes to all classes alike; below 0 it is 0.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    given = {"logits": logits, "labels": onehot_labels, "sample_weight": weights}
    call = begin("softmax_cross_entropy", reduction, **given)
    rows(call, "dense", axis=-1)
    # A view: where arrays have no derivatives, what is another array gets none.
    call.labels = call.backend.xp.stop_gradient(call.labels)[...]
    losses = call.apply(softmax_minus_labels, smoothing=smoothing(call, max(label_smoothing, 0)))
    return in_dtype(reduce(losses, call.given["sample_weight"], reduction), call)


@spoken_here(sample_weight="weights")
def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.sparse_softmax_cross_entropy`` of 2.21.

    A last axis of length 1 too many is dropped. Labels of weight 0 are not checked.

    * ``labels``: int32 or int64 indices.
    * ``logits``: real numbers, classes along the last axis.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    given = {"logits": logits, "labels": labels, "sample_weight": weights}
    call = begin("sparse_softmax_cross_entropy", reduction, equal=False, **given)
    index_dtype(call, "labels")
    x, t, w = (call.given[name] for name in given)
    shape, full = shape_of(call, "labels"), shape_of(call, "logits")
    t = call.array("labels") if not hasattr(t, "shape") else t
    if len(full) == len(shape) and shape[-1:] == (1,):
        t = steps.squeeze(t)
    elif len(full) == len(shape) + 2 and full[-1] == 1:
        x = steps.squeeze(x)
    if w is not None and w.ndim == t.ndim + 1 and w.shape[-1] == 1:
        w = steps.squeeze(w)
    losses = xentropy.sparse_softmax_cross_entropy(x, t, sample_weight=w)
    return in_dtype(reduce(losses, w, reduction), call)


@spoken_here(labels="multi_class_labels", sample_weight="weights")
def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.sigmoid_cross_entropy`` of 2.21.

    * ``multi_class_labels``: probabilities, in the shape of ``logits``.
    * ``logits``: real numbers.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``label_smoothing``: the share that goes to all classes alike; below 0 it is 0.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    given = {"logits": logits, "labels": multi_class_labels, "sample_weight": weights}
    call = begin("sigmoid_cross_entropy", reduction, **given)
    x, t, w = (call.given[name] for name in given)
    options = {"label_smoothing": max(label_smoothing, 0), "sample_weight": w}
    return in_dtype(reduce(xentropy.sigmoid_cross_entropy(x, t, **options), w, reduction), call)


def _of_errors(
    loss: Any, labels: Any, predictions: Any, weights: Any, reduction: Any, **options: Any
) -> Any:
    """A loss of the core on predictions and targets, returned in float32."""
    given = {"predictions": predictions, "labels": labels, "sample_weight": weights}
    call = begin(loss.__name__, reduction, **given)
    x, t, w = floating(call, "predictions"), floating(call, "labels"), call.given["sample_weight"]
    found = reduce(loss(x, t, sample_weight=w, **options), w, reduction)
    return steps.cast(found, call.backend.xp.float32)


@spoken_here(targets="labels", sample_weight="weights")
def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.mean_squared_error`` of 2.21, float32 whatever comes.

    * ``labels``: what was observed, in the shape of ``predictions``.
    * ``predictions``: the predictions.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    return _of_errors(xentropy.squared_error, labels, predictions, weights, reduction)


@spoken_here(targets="labels", sample_weight="weights")
def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.absolute_difference`` of 2.21, float32 whatever comes.

    * ``labels``: what was observed, in the shape of ``predictions``.
    * ``predictions``: the predictions.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    return _of_errors(xentropy.absolute_error, labels, predictions, weights, reduction)


@spoken_here(targets="labels", sample_weight="weights")
def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.huber_loss`` of 2.21, float32 whatever comes.

    ``delta`` must be above 0.

    * ``labels``: what was observed, in the shape of ``predictions``.
    * ``predictions``: the predictions.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``delta``: where squares turn into absolute errors.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """
    return _of_errors(xentropy.huber, labels, predictions, weights, reduction, delta=delta)


@spoken_here(sample_weight="weights")
def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: Any = None,
    loss_collection: Any = _LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Any:
    """``tf.compat.v1.losses.log_loss`` of 2.21, float32 whatever comes.

    ``epsilon`` is added inside both logarithms, which makes the loss of a perfect prediction
    negative. A label of 0 drops an infinite logarithm.

    * ``labels``: what was observed, in the shape of ``predictions``.
    * ``predictions``: probabilities.
    * ``weights``: a factor for each loss: a number, or of their rank with lengths equal or 1.
    * ``epsilon``: added inside the logarithms.
    * ``scope``: no effect.
    * ``loss_collection``: no effect: nothing is collected.
    * ``reduction``: one of `Reduction`.
    """

    def loss(predictions: Any, labels: Any, *, sample_weight: Any) -> Any:
        given = {"predictions": predictions, "labels": labels, "sample_weight": sample_weight}
        call = Call("log_loss", **given)
        elementwise(call, "labels", "binary")
        return call.apply(_log_loss, epsilon=number(call, "epsilon", epsilon))

    return _of_errors(loss, labels, predictions, weights, reduction)
