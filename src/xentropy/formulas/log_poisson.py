"""The negative log-likelihood of counts, from the logarithm of their rate."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import slope, times
from .weighting import weighted

__all__ = ["log_poisson"]

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


def _large(xp: Namespace, t: Any) -> tuple[Any, Any]:
    """Where the approximation is 0, and counts that are inside its domain there."""
    small = (t >= 0) & (t <= 1)
    return small, xp.where(small, 2.0, t)


def _stirling(xp: Namespace, t: Any) -> Any:
    """``log(t!)`` by Stirling's approximation, 0 for ``t`` in [0, 1]."""
    small, t = _large(xp, t)
    log = xp.log(t)
    return xp.where(small, 0.0, t * (log - 1.0) + (0.5 * log + _HALF_LOG_2_PI))


def _stirling_slope(xp: Namespace, t: Any) -> Any:
    small, t = _large(xp, t)
    return xp.where(small, 0.0, xp.log(t) + 0.5 / t)


def _log_poisson(xp: Namespace, x: Any, t: Any, *, full: bool, dtype: str) -> Any:
    """``exp(x) - t x``, in full with ``log(t!)``."""
    loss = xp.exp(x) - times(xp, t, x)
    return loss + _stirling(xp, t) if full else loss


def _log_poisson_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, full: bool, dtype: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = xp.exp(x) - t
    if "t" in wrt:
        each = slope(xp, t, 0.0 - x)
        found["t"] = each + _stirling_slope(xp, t) if full else each
    return found


log_poisson = weighted(
    "log_poisson",
    _log_poisson,
    _log_poisson_partials,
    prediction="log_input",
    labels="targets",
    reduces="none",
)
