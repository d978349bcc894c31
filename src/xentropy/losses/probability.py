"""Cross-entropies of probabilities."""

from __future__ import annotations

from typing import Any

from xentropy._types import A, Reduction, Weak
from xentropy.formulas import probability as formulas
from xentropy.reduction import reduce
from xentropy.validation import Call, elementwise, rows, smoothing

__all__ = [
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "sparse_categorical_cross_entropy",
]


def binary_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Binary cross-entropy in nats from probabilities, elementwise."""
    call = Call(
        "binary_cross_entropy",
        probs=probs,
        labels=labels,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "labels", "binary")
    losses = call.apply(formulas.binary, smoothing=smoothing(call, label_smoothing))
    return reduce(call, losses)


def categorical_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    axis: int = -1,
    class_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Cross-entropy in nats of probabilities against a distribution over the classes."""
    call = Call(
        "categorical_cross_entropy",
        probs=probs,
        labels=labels,
        class_weight=class_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis, kind="probs")
    return _finish(call, label_smoothing)


def sparse_categorical_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Cross-entropy in nats of probabilities against the index of a class."""
    call = Call(
        "sparse_categorical_cross_entropy",
        probs=probs,
        labels=labels,
        class_weight=class_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "index", axis=axis, ignore_index=ignore_index, kind="probs")
    return _finish(call, label_smoothing)


_CATEGORICAL = (formulas.categorical_dense, formulas.categorical_index)


def _finish(call: Call, label_smoothing: float) -> Any:
    losses = call.apply(
        _CATEGORICAL[call.index],
        call.class_weight,
        smoothing=smoothing(call, label_smoothing),
    )
    return reduce(call, losses)
