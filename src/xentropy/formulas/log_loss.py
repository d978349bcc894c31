"""The cross-entropy of probabilities with a small number inside the logarithms."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .numeric import over, times
from .weighting import weighted

__all__ = ["log_loss"]


def _log(xp: Namespace, p: Any, q: Any, epsilon: float) -> Any:
    """``log(p + epsilon)``, with ``q = 1 - p``: near 1 no digit is lost."""
    near = p > 0.5
    return xp.where(
        near,
        xp.log1p(epsilon - xp.where(near, q, 0.5)),
        xp.log(xp.where(near, 0.5, p) + epsilon),
    )


def _logs(xp: Namespace, x: Any, epsilon: float) -> tuple[Any, Any]:
    return _log(xp, x, 1.0 - x, epsilon), _log(xp, 1.0 - x, x, epsilon)


def _log_loss(xp: Namespace, x: Any, t: Any, *, epsilon: float, dtype: str) -> Any:
    """``-t log(p + epsilon) - (1 - t) log(1 - p + epsilon)``."""
    pos, neg = _logs(xp, x, epsilon)
    return times(xp, t, 0.0 - pos) + times(xp, 1.0 - t, 0.0 - neg)


def _log_loss_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, epsilon: float, dtype: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = over(xp, 1.0 - t, (1.0 - x) + epsilon) - over(xp, t, x + epsilon)
    if "t" in wrt:
        pos, neg = _logs(xp, x, epsilon)
        found["t"] = neg - pos
    return found


log_loss = weighted(
    "log_loss",
    _log_loss,
    _log_loss_partials,
    prediction="predictions",
    labels="labels",
    reduces="none",
)
