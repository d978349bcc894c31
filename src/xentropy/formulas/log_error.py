"""The squared difference of logarithms."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .clip import bounded
from .weighting import weighted

__all__ = ["squared_log_error"]


def _difference(xp: Namespace, x: Any, t: Any) -> Any:
    """``log(1 + x) - log(1 + t)``, without cancellation where they are near each other."""
    above = x >= t
    low = xp.where(above, 1.0 + t, 1.0 + x)
    # One plus this is the quotient of the larger by the smaller: its logarithm loses no digits.
    rise = xp.log1p(xp.abs(x - t) / xp.where(low < 0, math.nan, low))
    return xp.where(above, rise, -rise)


def _squared_log_error(xp: Namespace, x: Any, t: Any, *, floor: float = -math.inf, **_: Any) -> Any:
    (a, _x), (b, _t) = (bounded(xp, v, floor, math.inf) for v in (x, t))
    d = _difference(xp, a, b)
    return d * d


def _squared_log_error_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, floor: float = -math.inf, **_: Any
) -> dict[str, Any]:
    (a, slope_x), (b, slope_t) = (bounded(xp, v, floor, math.inf) for v in (x, t))
    twice = 2.0 * _difference(xp, a, b)
    found = {
        "x": xp.where(slope_x, twice / (1.0 + a), 0.0),
        "t": xp.where(slope_t, -twice / (1.0 + b), 0.0),
    }
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
