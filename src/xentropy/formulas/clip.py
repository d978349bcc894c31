"""Numbers kept inside an interval, before a loss is taken of them."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["bounded", "clip"]


def bounded(xp: Namespace, x: Any, low: float, high: float) -> tuple[Any, Any]:
    """``x`` between two bounds, and where it has a slope: inside and at both; NaN stays."""
    below, above = x < low, x > high
    return xp.where(below, low, xp.where(above, high, x)), ~(below | above)


def _clip(xp: Namespace, *, x: Any, low: float, high: float, dtype: str) -> Any:
    return bounded(xp, x, low, high)[0]


def _clip_partials(
    xp: Namespace, wrt: tuple[str, ...], *, x: Any, low: float, high: float, dtype: str
) -> dict[str, Any]:
    return {"x": xp.where(bounded(xp, x, low, high)[1], xp.ones_like(x), 0.0)}


clip = Formula("clip", {"x": "elements"}, "none", _clip, _clip_partials)
"""Outside the interval the derivative is 0, at its ends 1."""
