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


def _squared_log_error(xp: Namespace, x: Any, t: Any, **_: Any) -> Any:
    d = _difference(xp, x, t)
    return d * d


def _squared_log_error_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, **_: Any
) -> dict[str, Any]:
    twice = 2.0 * _difference(xp, x, t)
    found = {"x": twice / (1.0 + x), "t": -twice / (1.0 + t)}
    return {name: found[name] for name in wrt}


squared_log_error = weighted(
    "squared_log_error",
    _squared_log_error,
    _squared_log_error_partials,
    prediction="predictions",
    labels="targets",
    reduces="none",
)
