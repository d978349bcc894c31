"""Divergences between a distribution and a softmax."""

from __future__ import annotations

from xentropy._types import A, Reduction, Weak
from xentropy.formulas import softmax as formulas
from xentropy.reduction import reduce
from xentropy.validation import Call, number, rows

__all__ = ["kl_divergence"]


def kl_divergence(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Kullback-Leibler divergence in nats of a softmax from the labels."""
    call = Call(
        "kl_divergence",
        logits=logits,
        labels=labels,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis)
    t = number(
        call, "temperature", temperature, "a finite number > 0", lambda t: 0.0 < t < float("inf")
    )
    losses = call.apply(formulas.kl_divergence, temperature=None if t == 1.0 else t)
    return reduce(call, losses)
