"""The negative log-likelihood of counts under a Poisson distribution, elementwise."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import over, slope, times
from .weighting import weighted

__all__ = ["poisson"]

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)


def _log_rate(xp: Namespace, x: Any, log_input: bool, eps: float) -> Any:
    return x if log_input else xp.log(x + eps)


def _counted(xp: Namespace, t: Any, full: str) -> tuple[Any, Any]:
    """Where Stirling's terms are left out, and counts that are inside their domain there."""
    out = t <= 1.0 if full == "above 1" else (t >= 0.0) & (t <= 1.0)
    return out, xp.where(out, 2.0, t)


def _poisson(
    xp: Namespace, x: Any, t: Any, *, log_input: bool, eps: float, full: str, dtype: str
) -> Any:
    """``rate - t log(rate)``; ``full`` adds Stirling's ``log t!``."""
    rate = xp.exp(x) if log_input else x
    loss = rate - times(xp, t, _log_rate(xp, x, log_input, eps))
    if not full:
        return loss
    out, n = _counted(xp, t, full)
    log_n = xp.log(n)
    return loss + xp.where(out, 0.0, n * (log_n - 1.0) + (0.5 * log_n + _HALF_LOG_2_PI))


def _poisson_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    log_input: bool,
    eps: float,
    full: str,
    dtype: str,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt and log_input:
        found["x"] = xp.exp(x) - t
    elif "x" in wrt:
        found["x"] = xp.where(t == 0.0, 1.0, over(xp, (x - t) + eps, x + eps))
    if "t" in wrt:
        found["t"] = 0.0 - slope(xp, t, _log_rate(xp, x, log_input, eps))
        if full:
            out, n = _counted(xp, t, full)
            found["t"] = found["t"] + xp.where(out, 0.0, xp.log(n) + 0.5 / n)
    return found


poisson = weighted(
    "poisson",
    _poisson,
    _poisson_partials,
    prediction="predictions",
    labels="targets",
    reduces="none",
)
"""Options: ``log_input``, whether predictions are logarithms of rates; ``eps``, added to rates
before their logarithm is taken; ``full``, for which counts terms of these alone are added: those
``"above 1"``, those ``"outside [0, 1]"`` (NaN of negative ones), or ``""`` none."""
