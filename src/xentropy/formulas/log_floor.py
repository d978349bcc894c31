"""The binary cross-entropy of probabilities with logarithms of at least -100."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import times
from .weighting import weighted

__all__ = ["log_floor"]

_LEAST_LOG = -100.0
_LEAST_VARIANCE = 1e-12


def _outside(x: Any) -> Any:
    return ~((x >= 0.0) & (x <= 1.0))


def _logs(xp: Namespace, x: Any) -> tuple[Any, Any]:
    """``log x`` and ``log(1 - x)``, each at least -100."""
    logs = xp.log(x), xp.log1p(-x)
    p, q = (xp.where(log < _LEAST_LOG, _LEAST_LOG, log) for log in logs)
    return p, q


def _loss(xp: Namespace, x: Any, t: Any, *, dtype: str) -> Any:
    p, q = _logs(xp, x)
    loss = times(xp, 1.0 - t, 0.0 - q) + times(xp, t, 0.0 - p)
    return xp.where(_outside(x) | _outside(t), math.nan, loss)


def _loss_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, dtype: str
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        # Finite and not 0 where the logarithm is cut off, so that training goes on.
        variance = (1.0 - x) * x
        found["x"] = (x - t) / xp.where(variance < _LEAST_VARIANCE, _LEAST_VARIANCE, variance)
    if "t" in wrt:
        p, q = _logs(xp, x)
        found["t"] = q - p
    outside = _outside(x) | _outside(t)
    return {name: xp.where(outside, math.nan, found[name]) for name in wrt}


log_floor = weighted("log_floor", _loss, _loss_partials, prediction="probs", reduces="none")
