"""The negative log-likelihood of index labels from log-probabilities."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import times
from .weighting import weighted

__all__ = ["log_probability"]


def _loss(
    xp: Namespace,
    x: Any,
    t: Any,
    *,
    class_weight: Any,
    invalid: Any,
    axis: int,
    dtype: str,
) -> Any:
    """``-w_y x_y``."""
    b = t if class_weight is None else class_weight * t
    loss = 0.0 - xp.sum(times(xp, b, x), axis=axis, keepdims=True)
    return xp.where(invalid, math.nan, loss)


def _loss_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    class_weight: Any,
    invalid: Any,
    axis: int,
    dtype: str,
) -> dict[str, Any]:
    b = t if class_weight is None else class_weight * t
    found = {"x": b, "class_weight": times(xp, t, x)}
    return {name: xp.where(invalid, math.nan, 0.0 - found[name]) for name in wrt}


log_probability = weighted(
    "log_probability",
    _loss,
    _loss_partials,
    prediction="log_probs",
    index=True,
    classes=("class_weight",),
)
