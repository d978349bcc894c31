"""The loss of a quantile."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .weighting import weighted

__all__ = ["pinball"]


def _pinball(xp: Namespace, x: Any, t: Any, *, alpha: Any, **_: Any) -> Any:
    e = x - t
    return xp.where(e > 0, (1.0 - alpha) * e, -alpha * e)


def _pinball_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, alpha: Any, **_: Any
) -> dict[str, Any]:
    side = xp.sign(x - t)
    # Half the absolute error at alpha = 1/2, and 0 at 0 as there.
    slope = xp.abs(side) * xp.where(side > 0, 1.0 - alpha, -alpha * xp.ones_like(side))
    return {name: slope if name == "x" else -slope for name in wrt}


pinball = weighted(
    "pinball",
    _pinball,
    _pinball_partials,
    prediction="predictions",
    labels="targets",
    reduces="none",
)
