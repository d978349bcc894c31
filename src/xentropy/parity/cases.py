"""One call of a public loss, in a form that every framework can be given."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import xentropy

__all__ = [
    "DTYPES",
    "LOSSES",
    "Case",
    "by_class",
    "flatten",
    "function",
    "has_gradient",
    "logits_shape",
    "of_layer",
    "parameters",
    "positional",
    "reduced",
    "result_shape",
    "take",
]

Array: TypeAlias = npt.NDArray[Any]

DTYPES = ("float64", "float32", "float16", "bfloat16")
LOSSES = (
    "cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "weighted_sigmoid_cross_entropy",
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "sparse_categorical_cross_entropy",
    "sigmoid_focal_cross_entropy",
    "softmax_focal_cross_entropy",
    "poly_cross_entropy",
    "kl_divergence",
    "squared_error",
    "absolute_error",
    "log_cosh",
    "huber",
    "smooth_l1",
    "mean_squared_error",
    "mean_absolute_error",
    "logsumexp",
    "log_softmax",
    "softmax_statistics.log_prob",
    "softmax_statistics.logsumexp",
    "softmax_statistics.entropy",
    "linear_cross_entropy",
    "linear_softmax_statistics.log_prob",
    "linear_softmax_statistics.logsumexp",
    "linear_softmax_statistics.entropy",
)
"""What the command knows, in the order of the table; of statistics those that are real numbers."""

_WITHOUT_LABELS = ("logsumexp", "entropy")
_PER_CLASS = ("class_weight", "pos_weight", "alpha")
_PER_EXAMPLE = ("where", "sample_weight")


@dataclass(frozen=True)
class Case:
    """A loss and its arguments as NumPy arrays.

    Attributes
    ----------
    name
        What the case is about; not unique across losses and dtypes.
    dtype
        Of the predictions. Those of bfloat16 are stored as float32.
    compiled
        Whether the compilers of the frameworks run it too.
    """

    name: str
    loss: str
    prediction: Array
    labels: Array | None
    options: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "float64"
    compiled: bool = False

    @property
    def first(self) -> str:
        """The name of the argument that holds the predictions."""
        return next(iter(parameters(self.loss)))

    def cast(self, dtype: str) -> Case:
        """Return the case with predictions of `dtype`, other floats of its result dtype."""
        result = "float64" if dtype == "float64" else "float32"
        labels = None if self.labels is None else _narrow(self.labels, result)
        options = {k: _narrow(v, result) for k, v in self.options.items()}
        prediction = _rounded(self.prediction, dtype)
        return replace(self, prediction=prediction, labels=labels, options=options, dtype=dtype)


def _narrow(value: Any, dtype: str) -> Any:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        return value
    with np.errstate(over="ignore", under="ignore"):
        return value.astype(dtype)


def _rounded(x: Array, dtype: str) -> Array:
    """Return `x` in `dtype`; bfloat16, which NumPy does not know, as float32 of fewer bits."""
    with np.errstate(over="ignore", under="ignore"):
        if dtype != "bfloat16":
            return x.astype(dtype)
        bits = x.astype(np.float32).view(np.uint32)
    even = np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    rounded = ((bits + even) & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isnan(x), np.float32(np.nan), rounded)


def parameters(loss: str) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a public loss by name; of a statistic those that it needs."""
    name, _, output = loss.partition(".")
    known = dict(inspect.signature(getattr(xentropy, name)).parameters)
    if output:
        del known["outputs"]
    if output in _WITHOUT_LABELS:
        del known["labels"], known["ignore_index"]
    return known


def positional(loss: str) -> tuple[str, ...]:
    """Return what a loss is given after the predictions, in order."""
    names = [name for name, p in parameters(loss).items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    return tuple("labels" if name == "targets" else name for name in names[1:])


def function(loss: str) -> Callable[..., Any]:
    """Return the public loss, or a function of the arguments of a statistic that returns it."""
    name, _, output = loss.partition(".")
    call: Callable[..., Any] = getattr(xentropy, name)
    if not output:
        return call
    labels = () if "labels" in parameters(loss) else (None,)

    def statistic(*arrays: Any, **options: Any) -> Any:
        return call(*arrays, *labels, outputs=output, **options)[0]

    return statistic


def has_gradient(loss: str) -> bool:
    """Return whether the library has the gradient where a framework has none."""
    return "." not in loss


def of_layer(loss: str) -> bool:
    """Return whether the predictions are features, and the logits their products."""
    return loss.startswith("linear_")


def by_class(loss: str) -> bool:
    """Return whether the predictions have an axis of classes, or of features."""
    return "axis" in parameters(loss) or of_layer(loss)


def logits_shape(case: Case) -> tuple[int, ...]:
    """Return the shape of the predictions, of a layer that of its logits."""
    shape = case.prediction.shape
    return (*shape[:-1], len(case.options["weight"])) if of_layer(case.loss) else shape


def reduced(case: Case) -> bool:
    """Return whether the result is one number for all examples."""
    return case.loss.startswith("mean_") or case.options.get("reduction", "none") != "none"


def result_shape(case: Case) -> tuple[int, ...]:
    """Return the shape of what the loss returns."""
    shape = case.prediction.shape
    if reduced(case):
        return ()
    if not by_class(case.loss) or case.loss == "log_softmax":
        return shape
    axis = case.options.get("axis", -1) % len(shape)
    kept = (1,) if case.options.get("keepdims") else ()
    return shape[:axis] + kept + shape[axis + 1 :]


def flatten(case: Case) -> Case:
    """Return the same examples as rows: predictions of shape (examples, classes), classes last.

    Elementwise losses get one class where no argument is given per class.
    """
    return _rows(case) if by_class(case.loss) else _elements(case)


def _rows(case: Case) -> Case:
    options, shape = dict(case.options), logits_shape(case)
    axis = options.pop("axis", -1) % len(shape)
    options.pop("keepdims", None)
    batch = shape[:axis] + shape[axis + 1 :]

    def spread(x: Any, shape: tuple[int, ...] = shape) -> Array:
        return np.moveaxis(np.broadcast_to(x, shape), axis, -1).reshape(-1, shape[axis])

    masks = ("class_mask", "where") if case.labels is None else ("class_mask",)
    for name in masks:
        if options.get(name) is not None and np.ndim(options[name]) != 1:
            options[name] = spread(options[name])
    for name in set(_PER_EXAMPLE) - set(masks):
        if options.get(name) is not None:
            options[name] = np.broadcast_to(options[name], batch).reshape(-1)
    labels = case.labels
    if labels is not None:
        index = labels.dtype.kind in "iu" and labels.shape == batch and _takes_index(case.loss)
        labels = labels.reshape(-1) if index else spread(labels)
    prediction = spread(case.prediction, case.prediction.shape)
    return replace(case, prediction=prediction, labels=labels, options=options)


def _takes_index(loss: str) -> bool:
    return "ignore_index" in parameters(loss)


def _elements(case: Case) -> Case:
    options, shape = dict(case.options), case.prediction.shape
    per_class = any(getattr(options.get(name), "ndim", 0) == 1 for name in _PER_CLASS)
    classes = shape[-1] if per_class else 1

    def spread(x: Any) -> Array:
        return np.broadcast_to(x, shape).reshape(-1, classes)

    for name in _PER_EXAMPLE:
        if options.get(name) is not None:
            options[name] = spread(options[name])
    return replace(
        case, prediction=spread(case.prediction), labels=spread(case.labels), options=options
    )


def take(case: Case, rows: Any) -> Case:
    """Return some examples of a case that `flatten` made."""

    def pick(name: str, x: Any) -> Any:
        masks = name == "class_mask" or (name == "where" and case.labels is None)
        some = name in _PER_EXAMPLE or masks
        return x[rows] if some and x is not None and not (masks and x.ndim == 1) else x

    options = {name: pick(name, x) for name, x in case.options.items()}
    labels = None if case.labels is None else case.labels[rows]
    return replace(case, prediction=case.prediction[rows], labels=labels, options=options)
