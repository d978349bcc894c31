"""Losses of independent logistic units, elementwise from the logits."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .numeric import logistic, over, smooth_binary, times
from .weighting import weighted

__all__ = ["cross_entropy", "focal"]


def _cross_entropy(
    xp: Namespace, x: Any, t: Any, *, pos_weight: Any, smoothing: Any, dtype: str
) -> Any:
    """``t w softplus(-x) + (1 - t) softplus(x)``."""
    unit = logistic(xp, x)
    t = smooth_binary(t, smoothing)
    positive = t if pos_weight is None else pos_weight * t
    return times(xp, positive, unit.softplus_neg) + times(xp, 1.0 - t, unit.softplus)


def _cross_entropy_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    pos_weight: Any,
    smoothing: Any,
    dtype: str,
) -> dict[str, Any]:
    unit = logistic(xp, x)
    t = smooth_binary(t, smoothing)
    found: dict[str, Any] = {}
    if "x" in wrt:
        positive = t if pos_weight is None else pos_weight * t
        found["x"] = (1.0 - t) * unit.p - positive * unit.q
    if "t" in wrt:
        # Without a weight softplus(-x) - softplus(x) is -x: one rounding, finite wherever x is.
        slope = 0.0 - x if pos_weight is None else pos_weight * unit.softplus_neg - unit.softplus
        found["t"] = slope if smoothing is None else (1.0 - smoothing) * slope
    if "pos_weight" in wrt:
        found["pos_weight"] = times(xp, t, unit.softplus_neg)
    return found


def _focal(
    xp: Namespace, x: Any, t: Any, *, alpha: Any, gamma: Any, smoothing: Any, dtype: str
) -> Any:
    """``alpha_t (1 - p_t)^gamma ce`` (Lin et al., ICCV 2017)."""
    unit = logistic(xp, x)
    t = smooth_binary(t, smoothing)
    loss = times(xp, t, unit.softplus_neg) + times(xp, 1.0 - t, unit.softplus)
    loss = times(xp, xp.pow(t * unit.q + (1.0 - t) * unit.p, gamma), loss)
    return loss if alpha is None else _balance(alpha, t) * loss


def _focal_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    alpha: Any,
    gamma: Any,
    smoothing: Any,
    dtype: str,
) -> dict[str, Any]:
    unit = logistic(xp, x)
    t = smooth_binary(t, smoothing)
    p, q = unit.p, unit.q
    miss = t * q + (1.0 - t) * p  # 1 - p_t
    power = xp.pow(miss, gamma)
    loss = times(xp, t, unit.softplus_neg) + times(xp, 1.0 - t, unit.softplus)
    balance = 1.0 if alpha is None else _balance(alpha, t)
    # p q / miss as 1 / (t / p + (1 - t) / q): finite where a probability underflows.
    odds = 1.0 / (over(xp, t, p) + over(xp, 1.0 - t, q))
    found: dict[str, Any] = {}
    if "x" in wrt:
        slope = gamma * (1.0 - 2.0 * t) * times(xp, odds, loss)
        found["x"] = balance * (power * (slope + ((1.0 - t) * p - t * q)))
    if "t" in wrt:
        hidden = miss == 0
        drop = times(xp, power, loss) * (q - p) / xp.where(hidden, 1.0, miss)
        slope = balance * (gamma * xp.where(hidden, 0.0, drop) - times(xp, power, x))
        if alpha is not None:
            slope = slope + (2.0 * alpha - 1.0) * times(xp, power, loss)
        found["t"] = slope if smoothing is None else (1.0 - smoothing) * slope
    if "alpha" in wrt:
        found["alpha"] = (2.0 * t - 1.0) * times(xp, power, loss)
    return found


def _balance(alpha: Any, t: Any) -> Any:
    return alpha * t + (1.0 - alpha) * (1.0 - t)


cross_entropy = weighted(
    "sigmoid_cross_entropy",
    _cross_entropy,
    _cross_entropy_partials,
    prediction="logits",
    reduces="none",
    classes=("pos_weight",),
)
focal = weighted(
    "sigmoid_focal",
    _focal,
    _focal_partials,
    prediction="logits",
    reduces="none",
    classes=("alpha",),
)
