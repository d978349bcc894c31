"""Generalized cross-entropy (Zhang and Sabuncu, NeurIPS 2018)."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .weighting import weighted

__all__ = ["generalized"]


def _probability(xp: Namespace, x: Any, t: Any, axis: int) -> Any:
    return xp.sum(xp.where(t != 0, x, 0.0), axis=axis, keepdims=True)


def _generalized(
    xp: Namespace, x: Any, t: Any, *, axis: int, dtype: str, q: Any, invalid: Any
) -> Any:
    """``(1 - p^q) / q`` of the label; ``1 - exp(z)`` as ``-tanh(z / 2) (1 + exp(z))``."""
    z = q * xp.log(_probability(xp, x, t, axis))
    loss = (0.0 - xp.tanh(0.5 * z)) * (1.0 + xp.exp(z)) / q
    return xp.where(invalid, math.nan, loss)


def _generalized_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    q: Any,
    invalid: Any,
) -> dict[str, Any]:
    if "x" not in wrt:
        return {}
    each = 0.0 - xp.pow(_probability(xp, x, t, axis), q - 1.0)
    return {"x": xp.where(invalid, math.nan, xp.where(t != 0, each, 0.0))}


generalized = weighted(
    "generalized_cross_entropy", _generalized, _generalized_partials, prediction="probs", index=True
)
