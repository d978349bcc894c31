"""What a reduction will multiply the gradients of losses with, before they are computed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ._call import Call

__all__ = ["expected", "without"]

LEAST = 2**16
"""Logits from which on it pays to add up weights first."""


def expected(call: Call) -> float | None:
    """The cotangent that each loss of a call will most likely get; None where nothing is known.

    Nothing depends on it but time: a kernel may write the gradient together with the losses.
    """
    if not call.backend.eager():  # A compiler would make a number for each length.
        return None
    if call.reduction != "mean":
        return 1.0
    divisor = _divisor(call)
    if not divisor:
        return None
    return float(np.float32(1.0 / divisor)) if call.dtype == "float32" else 1.0 / divisor


def without(shape: Any, axis: int) -> tuple[Any, ...]:
    """A shape without one of its axes."""
    i = axis % len(shape)
    return (*shape[:i], *shape[i + 1 :])


def _divisor(call: Call) -> float | None:
    shape = call.x.shape if call.axis is None else without(call.x.shape, call.axis)
    if not all(type(n) is int for n in shape) or 0 in shape:
        return None
    given = (call.denominator, call.class_weight, call.sample_weight, call.keep)
    if all(w is None for w in given):
        return float(math.prod(shape))
    if not call.backend.reads_weights or None in tuple(call.x.shape):
        return None
    if math.prod(call.x.shape) < LEAST:
        return None
    hosts = [None if w is None else call.backend.concrete(w) for w in given]
    if any(w is not None and host is None for w, host in zip(given, hosts, strict=True)):
        return None
    denominator, class_weight, sample_weight, keep = hosts
    if denominator is not None:
        return float(denominator) if denominator.size == 1 else None
    each: Any = np.ones(shape)
    if class_weight is not None:
        labels = call.backend.concrete(call.labels) if call.index else None
        if labels is None:
            return None
        each = np.asarray(class_weight, np.float64)
        each = each.reshape(-1)[labels.reshape(shape).clip(0, each.size - 1)]
    if sample_weight is not None:
        each = each * np.asarray(sample_weight, np.float64)
    return float(np.sum(each if keep is None else np.where(keep, each, 0.0)))
