"""The regression losses of torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy.errors import DTypeError

from ._call import (
    NAN,
    arguments,
    broadcast,
    floating,
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

    * ``input``: the predictions.
    * ``target``: what was observed, broadcast with ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``weight``: a factor for each element, in the shape of ``input``.
    """
    how = reduction_of(input, reduction, size_average, reduce, old_name=weight is None)
    return _loss("mse_loss", xentropy.squared_error, input, target, weight, how)


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

    * ``input``: the predictions.
    * ``target``: what was observed, broadcast with ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``weight``: a factor for each element, in the shape of ``input``.
    """
    how = reduction_of(input, reduction, size_average, reduce, old_name=weight is None)
    return _loss("l1_loss", xentropy.absolute_error, input, target, weight, how)


@of_torch(predictions="input", targets="target")
def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    """``torch.nn.functional.smooth_l1_loss`` of 2.13.

    * ``input``: the predictions.
    * ``target``: what was observed, broadcast with ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``beta``: where squares turn into absolute errors; 0 has none.
    """
    how = reduction_of(input, reduction, size_average, reduce)
    return _loss("smooth_l1_loss", xentropy.smooth_l1, input, target, None, how, beta=beta)


@of_torch(predictions="input", targets="target")
def huber_loss(
    input: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """``torch.nn.functional.huber_loss`` of 2.13.

    With ``weight`` the mean still divides by the number of elements.

    * ``input``: the predictions.
    * ``target``: what was observed, broadcast with ``input``.
    * ``reduction``: "none", "mean" or "sum".
    * ``delta``: where squares turn into absolute errors, above 0.
    * ``weight``: a factor for each element, in the shape of ``input``.
    """
    how = reduction_of(input, reduction, old_name=weight is None)
    return _loss("huber_loss", xentropy.huber, input, target, weight, how, delta=delta)


def _loss(
    name: str,
    loss: Callable[..., Any],
    input: Any,
    target: Any,
    weight: Any,
    how: str,
    **options: Any,
) -> Any:
    call, x, t, w = arguments(name, input=input, target=target, weight=weight)
    same_size(call, "input", "weight")
    is_huber = loss is xentropy.huber
    if is_huber:
        floating(call, x, "input")
    elif not any(a is not None and call.kind(a) == "float" for a in (x, t, w)):
        call.fail(DTypeError, "`input` or `target` must be floating.", "input", "target")
    # Huber's alone has the dtype of the input, whatever that of the target.
    dtype = promoted(call, *(("input", "weight") if is_huber else ("input", "target", "weight")))
    x, t = broadcast(call, widened(call, x, dtype), t, warn=True)
    losses = loss(x, t, **options)
    if w is not None:
        losses = steps.multiply(losses, w)
        if how == "mean" and not is_huber:
            return steps.cast(steps.mean(losses, w, of_none=NAN), dtype)
    return reduced(losses, how, dtype)
