"""The negative log-likelihood of values under normal distributions, elementwise."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["gaussian"]


def _variance(xp: Namespace, variance: Any, eps: float) -> Any:
    """At least ``eps``; NaN of a negative one."""
    floored = xp.where(variance < eps, eps, variance)
    return xp.where(variance < 0.0, math.nan, floored)


def _gaussian(
    xp: Namespace,
    *,
    predictions: Any,
    targets: Any,
    variance: Any,
    eps: float,
    full: bool,
    dtype: str,
) -> Any:
    """``(log v + e^2 / v) / 2``; ``full`` adds ``log(2 pi) / 2``."""
    v = _variance(xp, variance, eps)
    e = predictions - targets
    loss = 0.5 * (xp.log(v) + e * e / v)
    return loss + 0.5 * math.log(2.0 * math.pi) if full else loss


def _gaussian_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    *,
    predictions: Any,
    targets: Any,
    variance: Any,
    eps: float,
    full: bool,
    dtype: str,
) -> dict[str, Any]:
    v = _variance(xp, variance, eps)
    fall = (predictions - targets) / v
    found = {
        "predictions": fall,
        "targets": 0.0 - fall,
        # As if the variance had not been raised to eps, so that it can grow.
        "variance": 0.5 * (1.0 / v - fall * fall),
    }
    return {name: found[name] for name in wrt}


gaussian = Formula(
    "gaussian",
    {"predictions": "elements", "targets": "elements", "variance": "elements"},
    "none",
    _gaussian,
    _gaussian_partials,
)
"""Options: ``eps``, the least variance; ``full``, whether the constant term is added."""
