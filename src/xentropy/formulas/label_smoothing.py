"""Labels mixed with the uniform distribution."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["smoothed"]


def _smoothed(xp: Namespace, *, labels: Any, alpha: Any, count: Any, dtype: str) -> Any:
    """``(1 - alpha) labels + alpha / count``."""
    return (1.0 - alpha) * labels + alpha / count


def _smoothed_partials(
    xp: Namespace, wrt: tuple[str, ...], *, labels: Any, alpha: Any, count: Any, dtype: str
) -> dict[str, Any]:
    found = {}
    if "labels" in wrt:
        found["labels"] = (1.0 - alpha) * xp.ones_like(labels)
    if "alpha" in wrt:
        found["alpha"] = 1.0 / count - labels
    return found


smoothed = Formula(
    "smoothed_labels",
    {"labels": "elements", "alpha": "elements", "count": "constant"},
    "none",
    _smoothed,
    _smoothed_partials,
)
