"""The negative log-likelihood of counts under a Poisson distribution, elementwise."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import over, slope, times
from .weighting import weighted

__all__ = ["poisson"]


def _log_rate(xp: Namespace, x: Any, log_input: bool, eps: float) -> Any:
    return x if log_input else xp.log(x + eps)


def _poisson(
    xp: Namespace, x: Any, t: Any, *, log_input: bool, eps: float, full: bool, dtype: str
) -> Any:
    """``rate - t log(rate)``; ``full`` adds Stirling's ``log t!`` to counts above 1."""
    rate = xp.exp(x) if log_input else x
    loss = rate - times(xp, t, _log_rate(xp, x, log_input, eps))
    if not full:
        return loss
    many = t > 1.0
    n = xp.where(many, t, 2.0)
    log_n = xp.log(n)
    stirling = n * (log_n - 1.0) + 0.5 * (log_n + math.log(2.0 * math.pi))
    return loss + xp.where(many, stirling, 0.0)


def _poisson_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    log_input: bool,
    eps: float,
    full: bool,
    dtype: str,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = xp.exp(x) - t if log_input else 1.0 - over(xp, t, x + eps)
    if "t" in wrt:
        found["t"] = 0.0 - slope(xp, t, _log_rate(xp, x, log_input, eps))
        if full:
            many = t > 1.0
            n = xp.where(many, t, 2.0)
            found["t"] = found["t"] + xp.where(many, xp.log(n) + 0.5 / n, 0.0)
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
before their logarithm is taken; ``full``, whether terms of the targets alone are added."""
