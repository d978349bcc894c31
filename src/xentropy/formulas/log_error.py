"""The squared difference of logarithms."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .weighting import weighted

__all__ = ["squared_log_error"]


def _difference(xp: Namespace, x: Any, t: Any) -> Any:
    """``log(1 + x) - log(1 + t)``, without cancellation where they are near each other."""
    above = x >= t
    low = xp.where(above, 1.0 + t, 1.0 + x)
    # One plus this is the quotient of the larger by the smaller: its logarithm loses no digits.
    rise = xp.log1p(xp.abs(x - t) / xp.where(low < 0, math.nan, low))
    return xp.where(above, rise, -rise)


def _raised(xp: Namespace, x: Any, floor: float | None) -> tuple[Any, Any]:
    """What is at least the floor, and its slope."""
    if floor is None:
        return x, 1.0
    low = x < floor
    return xp.where(low, floor, x), xp.where(low, xp.zeros_like(x), 1.0)


def _squared_log_error(
    xp: Namespace, x: Any, t: Any, *, floor: float | None = None, **_: Any
) -> Any:
    d = _difference(xp, _raised(xp, x, floor)[0], _raised(xp, t, floor)[0])
    return d * d


def _squared_log_error_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, floor: float | None = None, **_: Any
) -> dict[str, Any]:
    (a, slope_x), (b, slope_t) = _raised(xp, x, floor), _raised(xp, t, floor)
    twice = 2.0 * _difference(xp, a, b)
    found = {"x": slope_x * twice / (1.0 + a), "t": slope_t * -twice / (1.0 + b)}
    return {name: found[name] for name in wrt}


squared_log_error = weighted(
    "squared_log_error",
    _squared_log_error,
    _squared_log_error_partials,
    prediction="predictions",
    labels="targets",
    reduces="none",
)
"""Option: ``floor``, which predictions and targets are raised to; below it they have no slope."""
