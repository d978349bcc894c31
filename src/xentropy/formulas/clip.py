"""Numbers kept inside an interval, before a loss is taken of them."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["clip"]


def _clip(xp: Namespace, *, x: Any, low: float, high: float, dtype: str) -> Any:
    return xp.where(x < low, low, xp.where(x > high, high, x))


def _clip_partials(
    xp: Namespace, wrt: tuple[str, ...], *, x: Any, low: float, high: float, dtype: str
) -> dict[str, Any]:
    outside = (x < low) | (x > high)
    return {"x": xp.where(outside, xp.zeros_like(x), 1.0)}


clip = Formula("clip", {"x": "elements"}, "none", _clip, _clip_partials)
"""Outside the interval the derivative is 0, at its ends 1."""
