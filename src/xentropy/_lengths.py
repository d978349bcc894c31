"""Lengths that a graph does not know when it is made: learned from arguments, or compared later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ._call import Call, Logits

__all__ = ["agreeing", "learn_features", "learn_lengths"]


def learn_features(call: Call) -> None:
    """Give one array of the layer the features that a graph knows of the other alone.

    Where it has others their product fails.
    """
    (*rows, own), (n, other) = call.hidden.shape, call.weight.shape
    if own is None and other is not None:
        call.hidden = call.backend.of_shape(call.hidden, (*rows, other))
    if other is None and own is not None:
        call.weight = call.backend.of_shape(call.weight, (n, own))


def learn_lengths(call: Call) -> None:
    """Give predictions whose lengths a graph does not know those that other arguments have."""
    if call.backend.opens_lengths:
        _check_lengths(call)
    shape = tuple(call.x.shape)
    if None not in shape:
        return
    examples = map(call.expand, (call.sample_weight, call.keep))
    for array in (call.labels, call.class_mask, *examples):
        if array is not None and array.ndim == len(shape):
            pairs = zip(shape, array.shape, strict=True)
            shape = tuple(m if n is None and m != 1 else n for n, m in pairs)
    if shape == tuple(call.x.shape):
        return
    if isinstance(call.x, Logits):
        features = call.hidden.shape[-1]
        call.hidden = call.backend.of_shape(call.hidden, (*shape[:-1], features))
        call.x = Logits(shape)
    else:
        call.x = call.backend.of_shape(call.x, shape)


def _check_lengths(call: Call) -> None:
    """Let a graph find out, when it runs, whether lengths agree that it does not know."""
    axes = list(range(-call.x.ndim, 0))
    examples = [i for i in axes if i != call.axis]
    of_labels = [i if i != call.axis else None for i in axes] if call.index else axes
    call.labels = agreeing(call, call.labels, of_labels, exact=call.index)
    call.class_mask = agreeing(call, call.class_mask, axes)
    call.sample_weight = agreeing(call, call.sample_weight, examples)
    call.keep = agreeing(call, call.keep, examples)


def agreeing(call: Call, x: Any, axes: Sequence[int | None], *, exact: bool = False) -> Any:
    """``x`` with the lengths of the predictions along axes counted from the end.

    A length of 1 does too, unless ``exact``.
    """
    if not call.backend.opens_lengths or x is None or not x.ndim or not call.x.ndim:
        return x
    if None not in tuple(x.shape) and None not in tuple(call.x.shape):
        return x
    beside: list[tuple[Any, int] | None] = []
    for n, axis in zip(x.shape, axes, strict=True):
        is_known = axis is None or None not in (n, call.x.shape[axis]) or (n == 1 and not exact)
        beside.append(None if is_known else _length(call, axis))
    return call.backend.agreeing(x, beside, exact=exact) if any(beside) else x


def _length(call: Call, axis: Any) -> tuple[Any, int]:
    """The array and its axis that have the length of an axis of the predictions."""
    if not isinstance(call.x, Logits):
        return call.x, axis
    return (call.weight, 0) if axis == -1 else (call.hidden, axis)
