"""Losses of independent logistic units, elementwise from the logits."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .numeric import faded, logistic, over, raised, slope, smooth_binary, times
from .weighting import weighted

__all__ = ["cross_entropy", "focal"]


def _cross_entropy(
    xp: Namespace, x: Any, t: Any, *, pos_weight: Any, smoothing: Any, dtype: str
) -> Any:
    """``t w softplus(-x) + (1 - t) softplus(x)``."""
    unit = logistic(xp, x)
    pos, neg = smooth_binary(t, smoothing)
    pos = pos if pos_weight is None else pos_weight * pos
    return times(xp, pos, unit.softplus_neg) + times(xp, neg, unit.softplus)


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
    pos, neg = smooth_binary(t, smoothing)
    found: dict[str, Any] = {}
    if "x" in wrt:
        weighted_pos = pos if pos_weight is None else pos_weight * pos
        found["x"] = neg * unit.p - weighted_pos * unit.q
    if "t" in wrt:
        # Without a weight softplus(-x) - softplus(x) is -x: one rounding, finite wherever x is.
        each = 0.0 - x
        if pos_weight is not None:
            each = times(xp, pos_weight, unit.softplus_neg)
            each = slope(xp, pos, each) - slope(xp, neg, unit.softplus)
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    if "pos_weight" in wrt:
        found["pos_weight"] = slope(xp, pos_weight, times(xp, pos, unit.softplus_neg))
    return found


def _focal(
    xp: Namespace, x: Any, t: Any, *, alpha: Any, gamma: Any, smoothing: Any, dtype: str
) -> Any:
    """``alpha_t (1 - p_t)^gamma ce`` (Lin et al., ICCV 2017)."""
    unit = logistic(xp, x)
    pos, neg = smooth_binary(t, smoothing)
    loss = times(xp, pos, unit.softplus_neg) + times(xp, neg, unit.softplus)
    loss = faded(xp, raised(xp, pos * unit.q + neg * unit.p, gamma), loss)
    return loss if alpha is None else _balance(alpha, pos, neg) * loss


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
    pos, neg = smooth_binary(t, smoothing)
    p, q = unit.p, unit.q
    miss = pos * q + neg * p  # 1 - p_t
    power = xp.pow(miss, gamma)
    loss = times(xp, pos, unit.softplus_neg) + times(xp, neg, unit.softplus)
    balance = 1.0 if alpha is None else _balance(alpha, pos, neg)
    # p q / miss as 1 / (t / p + (1 - t) / q): finite where a probability underflows.
    odds = 1.0 / (over(xp, pos, p) + over(xp, neg, q))
    found: dict[str, Any] = {}
    if "x" in wrt:
        fade = gamma * (neg - pos) * times(xp, odds, loss)
        found["x"] = balance * (power * (fade + (neg * p - pos * q)))
    if "t" in wrt:
        # q - p as a tanh keeps its digits near 0; loss / miss tends to 1 where miss underflows.
        hidden = miss == 0
        ratio = xp.where(hidden, 1.0, loss / xp.where(hidden, 1.0, miss))
        fade = gamma * times(xp, xp.tanh(-0.5 * x), times(xp, power, ratio))
        each = balance * (fade - times(xp, power, x))
        if alpha is not None:
            each = each + (2.0 * alpha - 1.0) * times(xp, power, loss)
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    if "alpha" in wrt:
        found["alpha"] = (pos - neg) * times(xp, power, loss)
    return found


def _balance(alpha: Any, pos: Any, neg: Any) -> Any:
    return alpha * pos + (1.0 - alpha) * neg


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
