"""The terms of a Kullback-Leibler divergence from log-probabilities, elementwise."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .numeric import slope, times
from .weighting import weighted

__all__ = ["relative_entropy", "term", "term_partials"]


def term(xp: Namespace, x: Any, t: Any, *, log_target: bool, **_: Any) -> Any:
    """``t (log t - x)``, 0 where ``t`` is."""
    return times(xp, xp.exp(t), t - x) if log_target else times(xp, t, xp.log(t) - x)


def term_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, log_target: bool, **_: Any
) -> dict[str, Any]:
    """Its derivatives; by a target of 0 it is 0."""
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = 0.0 - (xp.exp(t) if log_target else t)
    if "t" in wrt and log_target:
        found["t"] = times(xp, xp.exp(t), t - x + 1.0)
    elif "t" in wrt:
        found["t"] = slope(xp, t, xp.log(t) - x + 1.0)
    return found


relative_entropy = weighted(
    "relative_entropy",
    term,
    term_partials,
    prediction="log_probs",
    labels="targets",
    reduces="none",
)
"""Option: ``log_target``, whether the targets are logarithms too."""
