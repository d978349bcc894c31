"""Losses of the error relative to the target."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .clipped import EPSILON
from .weighting import weighted

__all__ = ["percentage_error", "squared_logarithmic_error"]


def _percentage(xp: Namespace, x: Any, t: Any, *, dtype: str) -> Any:
    """``100 |x - t| / max(|t|, 1e-7)``."""
    size = xp.abs(t)
    return 100.0 * (xp.abs(x - t) / xp.where(size < EPSILON, EPSILON, size))


def _percentage_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, dtype: str
) -> dict[str, Any]:
    size = xp.abs(t)
    small = size < EPSILON
    divisor = xp.where(small, EPSILON, size)
    each = 100.0 * xp.sign(x - t) / divisor
    # 0 by t beyond x and t: there it is 100 (1 - x / t), or its negative.
    by_target = xp.where(small, 0.0 - each, 0.0 - each * (x / xp.where(small, 1.0, t)))
    found = {"x": each, "t": by_target}
    return {name: found[name] for name in wrt}


def _logarithms(xp: Namespace, x: Any, t: Any) -> tuple[Any, Any, Any, Any, Any]:
    """``log(1 + a) - log(1 + b)`` of what is at least 1e-7, its terms, and where they have slopes.

    The ratio is at least 1: one logarithm, without cancellation.
    """
    small_x, small_t = x < EPSILON, t < EPSILON
    a, b = xp.where(small_x, EPSILON, x), xp.where(small_t, EPSILON, t)
    over = a > b
    gap = xp.log1p(xp.abs(a - b) / (1.0 + xp.where(over, b, a)))
    return xp.where(over, gap, 0.0 - gap), a, b, small_x, small_t


def _squared_logarithmic(xp: Namespace, x: Any, t: Any, *, dtype: str) -> Any:
    """``(log(1 + max(x, 1e-7)) - log(1 + max(t, 1e-7)))^2``."""
    gap = _logarithms(xp, x, t)[0]
    return gap * gap


def _squared_logarithmic_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, dtype: str
) -> dict[str, Any]:
    gap, a, b, small_x, small_t = _logarithms(xp, x, t)
    found = {
        "x": xp.where(small_x, 0.0, 2.0 * gap / (1.0 + a)),
        "t": xp.where(small_t, 0.0, -2.0 * gap / (1.0 + b)),
    }
    return {name: found[name] for name in wrt}


percentage_error, squared_logarithmic_error = (
    weighted(name, value, partials, prediction="predictions", labels="targets", reduces="none")
    for name, value, partials in (
        ("percentage_error", _percentage, _percentage_partials),
        (
            "squared_logarithmic_error",
            _squared_logarithmic,
            _squared_logarithmic_partials,
        ),
    )
)
