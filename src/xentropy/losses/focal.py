"""Focal losses: cross-entropies that fade where the prediction is already right."""

from __future__ import annotations

from xentropy._types import A, Reduction, Weak
from xentropy.formulas import sigmoid, softmax
from xentropy.reduction import reduce
from xentropy.validation import Call, class_vector, elementwise, number, rows, smoothing

__all__ = ["sigmoid_focal_cross_entropy", "softmax_focal_cross_entropy"]


def _gamma(call: Call, gamma: float) -> float:
    return number(
        call, "gamma", gamma, "a finite number >= 0", lambda g: 0.0 <= g < float("inf")
    )


def sigmoid_focal_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    alpha: Weak | None = None,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid focal loss in nats, elementwise."""
    call = Call(
        "sigmoid_focal_cross_entropy",
        logits=logits,
        labels=labels,
        alpha=alpha,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "labels", "binary_logits")
    losses = call.apply(
        sigmoid.focal,
        class_vector(call, "alpha"),
        gamma=_gamma(call, gamma),
        smoothing=smoothing(call, label_smoothing),
    )
    return reduce(call, losses)


def softmax_focal_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    alpha: Weak | None = None,
    gamma: float = 2.0,
    ignore_index: int | None = None,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax focal loss in nats, for indices or for distributions."""
    call = Call(
        "softmax_focal_cross_entropy",
        logits=logits,
        labels=labels,
        alpha=alpha,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    losses = call.apply(
        (softmax.focal_dense, softmax.focal_index)[call.index],
        class_vector(call, "alpha"),
        None,
        gamma=_gamma(call, gamma),
        smoothing=None,
        z_loss=None,
    )
    return reduce(call, losses)
