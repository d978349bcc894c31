"""The error relative to the target."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .clipped import EPSILON
from .weighting import weighted

__all__ = ["percentage_error"]


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


percentage_error = weighted(
    "percentage_error",
    _percentage,
    _percentage_partials,
    prediction="predictions",
    labels="targets",
    reduces="none",
)
