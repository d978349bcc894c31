"""The losses of torch of independent labels."""

from __future__ import annotations

import dataclasses
from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.errors import DTypeError, InputError, OptionError, ShapeError
from xentropy.formulas import sigmoid
from xentropy.formulas.log_floor import log_floor
from xentropy.validation import elementwise

from ._call import (
    arguments,
    broadcast,
    common,
    floating,
    is_given,
    of_torch,
    promoted,
    ranked,
    reduced,
    reduction_of,
    same_size,
    values,
    widened,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "sigmoid_focal_loss",
    "soft_margin_loss",
]

# The kernels know weights of classes only.
_BY_ELEMENT = dataclasses.replace(sigmoid.cross_entropy, name="sigmoid_by_element")


@of_torch()
def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """``torch.nn.functional.binary_cross_entropy`` of 2.13, from probabilities.

    Logarithms are at least -100, the gradient divides by ``max(p (1 - p), 1e-12)``. Probabilities
    and targets outside [0, 1] raise where they can be read, and give NaN elsewhere.

    * ``input``: probabilities.
    * ``target``: probabilities, in the shape and dtype of ``input``.
    * ``weight``: a factor for each element, broadcast to ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(input, reduction, size_average, reduce)
    call, x, t, w = arguments("binary_cross_entropy", input=input, target=target, weight=weight)
    same_size(call, "input", "target")
    floating(call, x, "input")
    if is_given(call, "target") and t.dtype != x.dtype:
        call.fail(DTypeError, "`target` must have the dtype of `input`.", "input", "target")
    _fits(call, "weight")
    for name, array in (("input", x), ("target", t)):
        host = values(call, array)
        if host is not None and not ((host >= 0) & (host <= 1)).all():
            call.fail(InputError, f"`{name}` must lie in [0, 1].", name)
    call = Call("binary_cross_entropy", input=x, target=t)
    elementwise(call, "target", "binary")
    losses = call.apply(log_floor)
    return reduced(_weighted(losses, w), how, x.dtype)


@of_torch(logits="input", labels="target")
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """``torch.nn.functional.binary_cross_entropy_with_logits`` of 2.13.

    The mean divides by the number of elements also with ``weight``. An infinite input on the side
    of a hard target has loss 0.

    * ``input``: logits.
    * ``target``: probabilities, in the shape of ``input``.
    * ``weight``: a factor for each element, broadcast to ``input``.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    * ``pos_weight``: a factor for the positive class, broadcast to ``input``.
    """
    how = reduction_of(input, reduction, size_average, reduce)
    call, x, t, w, pos = arguments(
        "binary_cross_entropy_with_logits",
        input=input,
        target=target,
        weight=weight,
        pos_weight=pos_weight,
    )
    same_size(call, "input", "target")
    floating(call, x, "input")
    floating(call, t, "target")
    _fits(call, "weight")
    _fits(call, "pos_weight")
    # The steps of torch write into what has the dtype of the target, narrower or wider.
    dtype = t.dtype if is_given(call, "target") else x.dtype
    call = Call("sigmoid_cross_entropy", logits=widened(call, x, dtype), labels=t)
    elementwise(call, "labels", "binary_logits")
    by_class = pos is None or pos.ndim < 2
    pos = pos if by_class else ranked(pos, x.ndim)
    losses = call.apply(sigmoid.cross_entropy if by_class else _BY_ELEMENT, pos, smoothing=None)
    return reduced(_weighted(losses, w), how, dtype)


@of_torch(logits="input")
def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """``torch.nn.functional.soft_margin_loss`` of 2.13; it does not overflow.

    * ``input``: logits.
    * ``target``: -1 or 1.
    * ``size_average``: deprecated there: False is ``reduction="sum"``.
    * ``reduce``: deprecated there: False is ``reduction="none"``.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(input, reduction, size_average, reduce)
    call, x, t = arguments("soft_margin_loss", input=input, target=target)
    floating(call, x, "input")
    _fits(call, "target")
    wide = steps.cast(x, getattr(call.backend.xp, call.dtype))
    wide, t = broadcast(call, wide, t)
    return reduced(xentropy.sigmoid_cross_entropy(steps.multiply(wide, t), 1), how, x.dtype)


@of_torch(logits="inputs", labels="targets")
def sigmoid_focal_loss(
    inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Any:
    """``torchvision.ops.sigmoid_focal_loss`` of 0.28.

    ``alpha=-1`` weighs both classes alike. Confident elements keep their digits.

    * ``inputs``: logits.
    * ``targets``: probabilities, in the shape of ``inputs``.
    * ``alpha``: the weight of the positive class; the other has ``1 - alpha``.
    * ``gamma``: the power of ``1 - p``.
    * ``reduction``: "none", "mean" or "sum".
    """
    how = reduction_of(inputs, reduction, old_name=False)
    if not 0 <= alpha <= 1 and alpha != -1:
        msg = f"`alpha` must lie in [0, 1], or be -1 for none, not {alpha!r}."
        raise OptionError(msg)
    call, x, t = arguments("sigmoid_focal_loss", inputs=inputs, targets=targets)
    same_size(call, "inputs", "targets")
    floating(call, x, "inputs")
    floating(call, t, "targets")
    dtype = promoted(call, "inputs", "targets", by_rank=True)
    losses = xentropy.sigmoid_focal_cross_entropy(
        widened(call, x, dtype), t, alpha=None if alpha < 0 else alpha, gamma=gamma
    )
    return reduced(losses, how, dtype)


def _weighted(losses: Any, w: Any) -> Any:
    return losses if w is None else steps.multiply(losses, ranked(w, losses.ndim))


def _fits(call: Call, name: str) -> None:
    """Refuse what would not broadcast to the input."""
    if call.given[name] is None:
        return
    if common(call, "input", name) != tuple(call.given["input"].shape):
        rule = f"`{name}` must broadcast to the shape of `input`, not beyond."
        call.fail(ShapeError, rule, "input", name)
