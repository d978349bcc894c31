"""Losses of independent logistic units."""

from __future__ import annotations

from typing import Any

from xentropy._types import A, Reduction, Weak
from xentropy.errors import OptionError
from xentropy.formulas import sigmoid as formulas
from xentropy.reduction import reduce
from xentropy.validation import Call, class_vector, elementwise, smoothing

__all__ = ["sigmoid_cross_entropy", "weighted_sigmoid_cross_entropy"]


def sigmoid_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    pos_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid cross-entropy in nats, elementwise."""
    call = Call(
        "sigmoid_cross_entropy",
        logits=logits,
        labels=labels,
        pos_weight=pos_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    return _finish(call, label_smoothing)


def weighted_sigmoid_cross_entropy(
    logits: A,
    labels: Weak,
    pos_weight: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid cross-entropy in nats with a weight on the positive term, elementwise."""
    call = Call(
        "weighted_sigmoid_cross_entropy",
        logits=logits,
        labels=labels,
        pos_weight=pos_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    if pos_weight is None:
        call.fail(
            OptionError,
            "`pos_weight` must be given.",
            "pos_weight",
            hint="without a weight call sigmoid_cross_entropy.",
        )
    return _finish(call, 0.0)


def _finish(call: Call, label_smoothing: float) -> Any:
    elementwise(call, "labels", "binary_logits")
    weight = class_vector(call, "pos_weight")
    losses = call.apply(
        formulas.cross_entropy, weight, smoothing=smoothing(call, label_smoothing)
    )
    return reduce(call, losses)
