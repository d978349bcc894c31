"""Losses of the difference between predictions and targets."""

from __future__ import annotations

from xentropy._types import A, Reduction, Weak
from xentropy.formulas import regression as formulas
from xentropy.reduction import reduce
from xentropy.validation import Call, elementwise, number

__all__ = [
    "absolute_error",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "smooth_l1",
    "squared_error",
]


def squared_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Squared error ``(prediction - target)^2``, elementwise."""
    call = Call(
        "squared_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.squared_error))


def absolute_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Absolute error ``|prediction - target|``, elementwise."""
    call = Call(
        "absolute_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.absolute_error))


def log_cosh(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Logarithm of the hyperbolic cosine of the error, elementwise."""
    call = Call(
        "log_cosh",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.log_cosh))


def huber(
    predictions: A,
    targets: Weak,
    *,
    delta: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Huber loss, elementwise: squared inside ``delta``, linear outside."""
    call = Call(
        "huber",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    delta = number(
        call, "delta", delta, "a finite number > 0", lambda d: 0.0 < d < float("inf")
    )
    return reduce(call, call.apply(formulas.huber, delta=delta))


def smooth_l1(
    predictions: A,
    targets: Weak,
    *,
    beta: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Smooth L1 loss, elementwise: the Huber loss divided by ``beta``."""
    call = Call(
        "smooth_l1",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    beta = number(
        call, "beta", beta, "a finite number >= 0", lambda b: 0.0 <= b < float("inf")
    )
    if beta == 0:
        return reduce(call, call.apply(formulas.absolute_error))
    return reduce(call, call.apply(formulas.smooth_l1, beta=beta))


def mean_squared_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
) -> A:
    """Mean of the squared errors."""
    call = Call(
        "mean_squared_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        reduction="mean",
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.squared_error))


def mean_absolute_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
) -> A:
    """Mean of the absolute errors."""
    call = Call(
        "mean_absolute_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        reduction="mean",
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.absolute_error))
