"""The divergence of probabilities that are clipped to [1e-7, 1]."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .clip import bounded
from .clipped import EPSILON
from .weighting import weighted

__all__ = ["divergence"]


def _clip(xp: Namespace, x: Any) -> tuple[Any, Any]:
    return bounded(xp, x, EPSILON, 1.0)


def _log_ratio(xp: Namespace, a: Any, b: Any) -> Any:
    """``log(a / b)``, with all digits where they are close."""
    ratio = a / b
    near = (ratio > 0.5) & (ratio < 2.0)
    return xp.where(near, xp.log1p(xp.where(near, (a - b) / b, 0.0)), xp.log(ratio))


def _divergence(xp: Namespace, x: Any, t: Any, *, axis: int, dtype: str) -> Any:
    """``sum_c t log(t / x)`` of what was clipped."""
    (a, _), (b, _) = _clip(xp, t), _clip(xp, x)
    return xp.sum(a * _log_ratio(xp, a, b), axis=axis, keepdims=True)


def _divergence_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, axis: int, dtype: str
) -> dict[str, Any]:
    (a, slope_t), (b, slope_x) = _clip(xp, t), _clip(xp, x)
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = xp.where(slope_x, 0.0 - a / b, 0.0)
    if "t" in wrt:
        found["t"] = xp.where(slope_t, _log_ratio(xp, a, b) + 1.0, 0.0)
    return found


divergence = weighted("keras_divergence", _divergence, _divergence_partials, prediction="probs")
