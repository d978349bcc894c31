"""The founding examples and the digits: what every loss is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .cases import LOSSES, Case, of_layer, positional

__all__ = ["MAIN", "arguments", "digits", "founding", "with_index"]

Array: TypeAlias = npt.NDArray[Any]

MAIN = ("sparse_softmax_cross_entropy", "softmax_cross_entropy", "sigmoid_cross_entropy")
"""What the compilers of the frameworks run too."""

_LOGITS = np.array([[12, 3, 2], [3, 10, 1], [1, 2, 5], [4, 6.5, 1.2], [3, 6, 1]])
_LABELS = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
_ROWS = np.array([[2, 0.5, 6], [0.1, 0, 3]])
_INDEX = np.array([2, 1])
_INDEX_LOSSES = (
    "sparse_softmax_cross_entropy",
    "softmax_focal_cross_entropy",
    "poly_cross_entropy",
    "sparse_categorical_cross_entropy",
    "softmax_statistics.log_prob",
    "linear_cross_entropy",
    "linear_softmax_statistics.log_prob",
)


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def arguments(loss: str, logits: Array, labels: Array) -> tuple[Array, Array | None]:
    """Return predictions and labels that suit a loss, from logits and one-hot or binary labels."""
    if "labels" not in positional(loss):
        return logits, None
    prediction = logits
    if loss == "binary_cross_entropy":
        prediction = 1 / (1 + np.exp(-logits))
    elif "categorical" in loss:
        prediction = _softmax(logits)
    if loss in _INDEX_LOSSES:
        return prediction, labels.argmax(axis=-1)
    if loss == "kl_divergence":  # a teacher that is less sure
        return prediction, _softmax(logits / 4 + labels)
    return prediction, labels


def with_index(case: Case) -> Iterator[Case]:
    """Yield a case of one-hot labels, and of their indices where the loss takes either kind."""
    yield case
    if case.loss == "cross_entropy" and case.labels is not None:
        index = case.labels.argmax(axis=-1)
        yield replace(case, name=f"{case.name}, index labels", labels=index)


def founding() -> Iterator[Case]:
    """Yield the examples of the founding document, for losses that it does not name as well."""
    for loss in LOSSES:
        # A layer of ones, whose logits are its features.
        options: dict[str, Any] = {"weight": np.eye(3)} if of_layer(loss) else {}
        if loss in _INDEX_LOSSES:
            prediction, _ = arguments(loss, _ROWS, _ROWS)
            yield Case("founding", loss, prediction, _INDEX, options)
        elif loss != "weighted_sigmoid_cross_entropy":
            yield Case("founding", loss, *arguments(loss, _LOGITS, _LABELS), options)
    yield Case("founding, index labels", "cross_entropy", _ROWS, _INDEX)
    for weight in (0.5, 2.0, np.array([0.5, 2.0, 3.0])):
        shown = weight.tolist() if isinstance(weight, np.ndarray) else weight
        name = f"founding, pos_weight={shown}"
        options = {"pos_weight": weight}
        yield Case(name, "weighted_sigmoid_cross_entropy", _LOGITS, _LABELS, options)


def digits(
    features: Array, weight: Array, labels: Array, most: int, bulk: tuple[str, ...]
) -> Iterator[Case]:
    """Yield the digits under their classifier: `most` of them for losses not in `bulk`."""
    logits, one_hot = features @ weight, np.eye(weight.shape[1])[labels]
    for loss in LOSSES:
        rows = slice(None if loss in bulk else most)
        options: dict[str, Any] = {}
        if loss == "weighted_sigmoid_cross_entropy":
            options = {"pos_weight": 2.0}
        prediction, targets = arguments(loss, logits[rows], one_hot[rows])
        if of_layer(loss):
            prediction, options = features[rows], {"weight": weight.T.copy()}
        yield from with_index(Case("digits", loss, prediction, targets, options))
