"""Means along an axis with weights along it, and the root of a mean."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["axis_mean", "root"]


def _parts(xp: Namespace, losses: Any, weights: Any, axis: int) -> tuple[Any, Any]:
    """The mean, its axis kept, and what divides the sum."""
    if weights is None:
        weights = xp.ones_like(losses)
    below = xp.sum(weights, axis=axis, keepdims=True)
    return xp.sum(weights * losses, axis=axis, keepdims=True) / below, below


def _axis_mean(xp: Namespace, *, losses: Any, weights: Any, axis: int, dtype: str) -> Any:
    return _parts(xp, losses, weights, axis)[0]


def _axis_mean_partials(
    xp: Namespace, wrt: tuple[str, ...], *, losses: Any, weights: Any, axis: int, dtype: str
) -> dict[str, Any]:
    mean, below = _parts(xp, losses, weights, axis)
    one = xp.ones_like(losses)
    found = {
        "losses": (one if weights is None else weights * one) / below,
        "weights": (losses - mean) / below,
    }
    return {name: found[name] for name in wrt}


axis_mean = Formula(
    "axis_mean",
    {"losses": "elements", "weights": "elements"},
    "axis",
    _axis_mean,
    _axis_mean_partials,
)


def _root(xp: Namespace, *, x: Any, dtype: str) -> Any:
    return xp.pow(x, 0.5)


def _root_partials(xp: Namespace, wrt: tuple[str, ...], *, x: Any, dtype: str) -> dict[str, Any]:
    nothing = x == 0
    return {"x": xp.where(nothing, 0.0, 0.5 / xp.pow(xp.where(nothing, 1.0, x), 0.5))}


root = Formula("root", {"x": "elements"}, "none", _root, _root_partials)
"""The square root, with derivative 0 at 0: a mean of squares has its least value there."""
