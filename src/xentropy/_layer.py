"""The arguments of a call on a linear layer, as rows."""

from __future__ import annotations

from typing import Any

from . import _steps as steps
from ._call import Call
from ._options import count, number
from .formulas.linear import Layer, Operands

__all__ = ["class_weights_of", "layer_of", "operands_of", "shape_of"]


def layer_of(call: Call, scale: float, softcap: float | None, max_memory: int) -> Layer:
    """The layer of a checked call."""
    if softcap is not None:
        rule = "a positive number, or None"
        softcap = number(call, "softcap", softcap, rule, lambda c: 0.0 < c < float("inf"))
    factor = number(call, "scale", scale)
    scaled = None if factor == 1.0 else factor
    return Layer(scaled, softcap, call.dtype, count(call, "max_memory", max_memory))


def shape_of(call: Call) -> tuple[Any, ...]:
    """That of the losses, also where a graph will know it only when it runs."""
    return tuple(call.backend.xp.size(call.hidden, i) for i in range(call.hidden.ndim - 1))


def operands_of(call: Call) -> Operands:
    """The arrays of the call in rows."""
    rows = tuple(call.hidden.shape[:-1])

    def is_one_each(shape: Any) -> bool:
        """Whether nothing is broadcast, as far as lengths are known."""
        return tuple(shape) == rows and None not in rows

    def of_losses(x: Any) -> Any:
        if x is not None and not is_one_each(x.shape):
            x = steps.broadcast(x, call.backend.first(call.hidden))
        return None if x is None else steps.reshape(x, (-1,))

    def of_logits(x: Any) -> Any:
        """One row for each example, or one for all."""
        if x is None or x.ndim < 2:
            return None if x is None else steps.reshape(x, (1, -1))
        if all(n == 1 for n in x.shape[:-1]) and call.x.ndim > 1:
            return steps.reshape(x, (1, call.backend.xp.size(x, -1)))
        if not is_one_each(x.shape[:-1]):
            one = call.backend.xp.expand_dims(call.backend.first(call.hidden), axis=-1)
            x = steps.broadcast(x, one if x.shape[-1] == 1 else _joined(call, x, one))
        return steps.reshape(x, (-1, call.backend.xp.size(x, -1)))

    labels = call.labels
    if labels is not None:
        labels = steps.reshape(labels, (-1, 1)) if call.index else of_logits(labels)
    return Operands(
        steps.reshape(call.hidden, (-1, call.backend.xp.size(call.hidden, -1))),
        call.weight,
        call.bias,
        labels,
        call.class_weight,
        of_logits(call.class_mask),
        of_losses(call.sample_weight),
        of_losses(call.keep),
    )


def _joined(call: Call, x: Any, one: Any) -> Any:
    """Anything in the shape to which two arrays broadcast."""
    if call.kind(x) == "bool":
        return x | (one != one)
    return x + call.backend.xp.astype(call.backend.xp.zeros_like(one), x.dtype)


def class_weights_of(call: Call, given: Operands) -> Any:
    """``sum_c w_c t_c`` of the unsmoothed labels, in the shape of the losses."""
    xp, n, labels = call.backend.xp, call.x.shape[-1], given.labels
    weight = steps.cast(call.class_weight, getattr(xp, call.dtype))
    if call.index:
        y = xp.squeeze(labels, -1)
        wrong = (y < call.backend.number(0, y)) | (y >= call.backend.number(n, y))
        every = weight if weight.ndim else steps.reshape(weight, (1,))
        at = steps.at(every, xp.where(wrong, 0, y) if weight.ndim else xp.zeros_like(y))
        found = steps.choose(~wrong, at, 0.0)
    else:
        found = steps.dot(steps.cast(labels, getattr(xp, call.dtype)), weight, n)
        found = steps.broadcast(found, call.backend.first(given.hidden))
    return steps.reshape(found, shape_of(call))
