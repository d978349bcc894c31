"""Weights and reductions of tf.compat.v1.losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.dialects.tensorflow._checks import same_shape
from xentropy.dispatch import backend_of, is_weak, message
from xentropy.errors import DTypeError, OptionError
from xentropy.formulas import reduction as formulas

__all__ = ["Reduction", "begin", "floating", "reduce"]


class Reduction:
    """``tf.compat.v1.losses.Reduction`` of 2.21: what is done with the weighted losses.

    ``NONE``: nothing. ``SUM``: their sum. ``MEAN``: the sum divided by that of the weights.
    ``SUM_OVER_BATCH_SIZE``: by the number of losses. ``SUM_BY_NONZERO_WEIGHTS``: by the number of
    weights that are not 0. Where that is 0 the result is 0.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """Every value."""
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_OVER_NONZERO_WEIGHTS,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: Any) -> None:
        """Refuse anything else."""
        if key not in cls.all():
            rule = f"`reduction` must be one of {', '.join(map(repr, dict.fromkeys(cls.all())))}."
            raise OptionError(message("Reduction", rule, {"reduction": key}))


def begin(name: str, reduction: Any, *, equal: bool = True, **given: Any) -> Call:
    """A call whose arguments are arrays; ``weights`` are None where each is 1."""
    Reduction.validate(reduction)
    call = Call(name, **given)
    for key, x in call.given.items():
        if x is None:
            call.fail(DTypeError, f"`{key}` must be given.", key)
    if equal:
        same_shape(call, "labels")
    weights = call.given["sample_weight"]
    if isinstance(weights, (int, float)) and weights == 1:
        weights = None
    elif is_weak(weights) and not call.backend.owns(weights):
        weights = call.adopt(np.asarray(weights, _dtype(call)))
    call.given = {**call.given, "sample_weight": weights}
    return call


def _dtype(call: Call) -> str:
    """What numbers and lists become beside the predictions."""
    x = call.given[call.first]
    is_wide = call.backend.owns(x) and call.backend.dtype_name(x) == "float64"
    return "float64" if is_wide else "float32"


def floating(call: Call, name: str) -> Any:
    """An argument in float32, or as it is where it has more digits."""
    x = call.given[name]
    if is_weak(x) and not call.backend.owns(x):
        x = call.adopt(np.asarray(x, np.float32))
    is_wide = call.backend.dtype_name(x) == "float64"
    return x if is_wide else steps.cast(x, call.backend.xp.float32)


def reduce(losses: Any, weights: Any, reduction: str) -> Any:
    """Reduce losses that are already weighted."""
    if reduction == Reduction.NONE:
        return losses
    if reduction == Reduction.SUM:
        return steps.total(losses)
    if weights is None or reduction == Reduction.SUM_OVER_BATCH_SIZE:
        return steps.mean(losses)
    if reduction == Reduction.MEAN:
        weights = steps.broadcast(steps.cast(weights, losses.dtype), losses)
        return steps.mean_or_zero(losses, weights)
    # A single weight of 0 makes the sum 0 too.
    return steps.mean(losses, None, _nonzero(losses, weights) if weights.ndim else None)


def _nonzero(losses: Any, weights: Any) -> Any:
    """How many losses have a weight that is not 0."""
    backend = backend_of(losses)
    xp, wide = backend.xp, backend.accumulator(losses)
    present = xp.broadcast_like(xp.astype(weights != 0, losses.dtype), losses)
    return backend.apply(formulas.total, (present,), {"dtype": wide, "result": wide})
