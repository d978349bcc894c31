"""The regression losses of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xentropy
from xentropy.dialects import _steps as steps

from ._call import (
    NAN,
    arguments,
    broadcast,
    of_torch,
    promoted,
    reduced,
    reduction_of,
    same_size,
    widened,
)

__all__ = ["huber_loss", "l1_loss", "mse_loss", "smooth_l1_loss"]


@of_torch(predictions="input", targets="target")
def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """``torch.nn.functional.mse_loss`` of 2.13.

    With ``weight`` the mean divides by its sum.
    """
    how = reduction_of(reduction, size_average, reduce, old_name=weight is None)
    losses, w, dtype = _losses("mse_loss", xentropy.squared_error, input, target, weight)
    return _by_weight(losses, w, how, dtype)


@of_torch(predictions="input", targets="target")
def l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    """``torch.nn.functional.l1_loss`` of 2.13.

    With ``weight`` the mean divides by its sum. Complex arrays are refused.
    """
    how = reduction_of(reduction, size_average, reduce, old_name=weight is None)
    losses, w, dtype = _losses("l1_loss", xentropy.absolute_error, input, target, weight)
    return _by_weight(losses, w, how, dtype)


@of_torch(predictions="input", targets="target")
def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """``torch.nn.functional.smooth_l1_loss`` of 2.13."""
    how = reduction_of(reduction, size_average, reduce)
    losses, _, dtype = _losses("smooth_l1_loss", xentropy.smooth_l1, input, target, beta=beta)
    return reduced(losses, how, dtype)


@of_torch(predictions="input", targets="target")
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """``torch.nn.functional.huber_loss`` of 2.13.

    With ``weight`` the mean still divides by the number of elements.
    """
    how = reduction_of(reduction, old_name=weight is None)
    losses, _, dtype = _losses("huber_loss", xentropy.huber, input, target, weight, delta=delta)
    return reduced(losses, how, dtype)


def _losses(
    name: str, loss: Callable[..., Any], input: Any, target: Any, weight: Any = None, **options: Any
) -> tuple[Any, Any, Any]:
    """The weighted losses, the weight, and the dtype of the result."""
    call, x, t, w = arguments(name, input=input, target=target, weight=weight)
    same_size(call, "input", "weight")
    dtype = promoted(call, "input", "target", "weight")
    x, t = broadcast(call, widened(call, x, dtype) if call.kind(x) == "float" else x, t, warn=True)
    losses = loss(x, t, **options)
    return losses if w is None else steps.multiply(losses, w), w, dtype


def _by_weight(losses: Any, weight: Any, how: str, dtype: Any) -> Any:
    if weight is None or how != "mean":
        return reduced(losses, how, dtype)
    return steps.cast(steps.mean(losses, weight, of_none=NAN), dtype)
