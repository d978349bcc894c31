"""Losses of a softmax over mutually exclusive classes."""

from __future__ import annotations

from typing import Any

from xentropy._types import A, Reduction, Weak
from xentropy.formulas import softmax as formulas
from xentropy.formulas.formula import Formula
from xentropy.reduction import reduce
from xentropy.validation import Call, number, rows, smoothing

__all__ = [
    "cross_entropy",
    "poly_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


def cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats, for indices or for distributions."""
    call = Call(
        "cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def softmax_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats against a distribution over the classes."""
    call = Call(
        "softmax_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def sparse_softmax_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats against the index of a class."""
    call = Call(
        "sparse_softmax_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "index", axis=axis, ignore_index=ignore_index)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def poly_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    epsilon: float = 1.0,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Poly-1 loss in nats: cross-entropy plus ``epsilon (1 - p)``."""
    call = Call(
        "poly_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    epsilon = number(call, "epsilon", epsilon)
    return _finish(call, _POLY, label_smoothing, z_loss, epsilon=epsilon)


_CROSS_ENTROPY = (formulas.cross_entropy_dense, formulas.cross_entropy_index)
_POLY = (formulas.poly_dense, formulas.poly_index)


def _finish(
    call: Call,
    formula: tuple[Formula, Formula],
    label_smoothing: float,
    z_loss: float,
    **options: Any,
) -> Any:
    """Evaluate the formula for the kind of labels that came, and reduce."""
    losses = call.apply(
        formula[call.index],
        call.class_weight,
        call.class_mask,
        smoothing=smoothing(call, label_smoothing),
        z_loss=number(call, "z_loss", z_loss) or None,
        **options,
    )
    return reduce(call, losses)
