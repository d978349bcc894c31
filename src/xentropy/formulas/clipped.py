"""Cross-entropies of probabilities that Keras clips to [1e-7, 1 - 1e-7]; some are shares first."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from xentropy._types import Namespace

from .clip import bounded
from .numeric import smooth, smooth_binary
from .probability import _binary as unclipped
from .sigmoid import _balance
from .weighting import weighted

__all__ = ["EPSILON", "binary", "binary_focal", "categorical", "categorical_focal", "sparse"]

EPSILON = 1e-7


def _clip(xp: Namespace, x: Any) -> tuple[Any, Any]:
    return bounded(xp, x, EPSILON, 1.0 - EPSILON)


def _binary(xp: Namespace, x: Any, t: Any, *, smoothing: Any, dtype: str) -> Any:
    return unclipped(xp, _clip(xp, x)[0], t, smoothing=smoothing, dtype=dtype)


def _binary_slope(xp: Namespace, x: Any, pos: Any) -> Any:
    """By the prediction; both terms over one denominator, their weights add up to 1."""
    c, inside = _clip(xp, x)
    return xp.where(inside, (c - pos) / (c * (1.0 - c)), 0.0)


def _binary_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, smoothing: Any, dtype: str
) -> dict[str, Any]:
    pos, _ = smooth_binary(t, smoothing)
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = _binary_slope(xp, x, pos)
    if "t" in wrt:
        c, _ = _clip(xp, x)
        each = xp.log1p(-c) - xp.log(c)
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    return found


class _Focal(NamedTuple):
    """The factors of a binary focal loss; ``miss``, ``1 - p_t``, is of what was not clipped."""

    pos: Any
    neg: Any
    miss: Any
    balance: Any
    loss: Any


def _factors(xp: Namespace, x: Any, t: Any, alpha: Any, smoothing: Any, dtype: str) -> _Focal:
    pos, neg = smooth_binary(t, smoothing)
    balance = 1.0 if alpha is None else _balance(alpha, pos, neg)
    loss = _binary(xp, x, t, smoothing=smoothing, dtype=dtype)
    return _Focal(pos, neg, pos * (1.0 - x) + neg * x, balance, loss)


def _binary_focal(
    xp: Namespace, x: Any, t: Any, *, alpha: Any, gamma: Any, smoothing: Any, dtype: str
) -> Any:
    of = _factors(xp, x, t, alpha, smoothing, dtype)
    return of.balance * (xp.pow(of.miss, gamma) * of.loss)


def _binary_focal_partials(
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
    of = _factors(xp, x, t, alpha, smoothing, dtype)
    power = xp.pow(of.miss, gamma)
    found: dict[str, Any] = {}
    # At gamma = 0 and p_t = 1 it is 0 times infinity.
    steep = gamma * xp.pow(of.miss, gamma - 1.0)
    steep = xp.where(steep == steep, steep, 0.0) * of.loss
    if "x" in wrt:
        slope = _binary_slope(xp, x, of.pos)
        found["x"] = of.balance * (steep * (of.neg - of.pos) + power * slope)
    if "t" in wrt:
        c, _ = _clip(xp, x)
        each = power * (xp.log1p(-c) - xp.log(c)) + steep * (1.0 - 2.0 * x)
        each = of.balance * each
        if alpha is not None:
            each = each + (2.0 * alpha - 1.0) * power * of.loss
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    if "alpha" in wrt:
        found["alpha"] = (of.pos - of.neg) * power * of.loss
    return found


class _Shares(NamedTuple):
    """Each entry of a row as a share of its sum, clipped; ``rest`` is 1 less the share."""

    total: Any
    share: Any
    rest: Any
    inside: Any
    clipped: Any
    clipped_rest: Any
    surprise: Any  # -log of what was clipped


def _shares(xp: Namespace, x: Any, axis: int) -> _Shares:
    top = xp.stop_gradient(xp.max(x, axis=axis, keepdims=True))
    peak = x == top
    # The largest entry stays out of the sum: what is left beside it keeps its digits.
    held = xp.sum(xp.where(peak, x, 0.0), axis=axis, keepdims=True)
    others = xp.sum(xp.where(peak, 0.0, x), axis=axis, keepdims=True)
    total = held + others
    share, rest = x / total, ((held - x) + others) / total
    clipped, inside = _clip(xp, share)
    clipped_rest = xp.where(inside, rest, 1.0 - clipped)
    large = clipped > 0.5
    far = xp.log1p(-xp.where(large, clipped_rest, 0.0))
    surprise = 0.0 - xp.where(large, far, xp.log(clipped))
    return _Shares(total, share, rest, inside, clipped, clipped_rest, surprise)


class _Cost(NamedTuple):
    """The cost of the clipped share of a class, and its slope."""

    value: Any
    slope: Any


def _cost(xp: Namespace, of: _Shares, gamma: Any) -> _Cost:
    """``-log c``, or ``(1 - c)^gamma (-log c)``."""
    if gamma is None:
        return _Cost(of.surprise, -1.0 / of.clipped)
    power = xp.pow(of.clipped_rest, gamma)
    steep = gamma * xp.pow(of.clipped_rest, gamma - 1.0)
    return _Cost(power * of.surprise, 0.0 - steep * of.surprise - power / of.clipped)


def _weights(alpha: Any, t: Any) -> Any:
    return t if alpha is None else alpha * t


def _categorical(
    xp: Namespace,
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    smoothing: Any,
    alpha: Any = None,
    gamma: Any = None,
) -> Any:
    cost = _cost(xp, _shares(xp, x, axis), gamma)
    t = smooth(xp, x, t, smoothing, axis)
    return xp.sum(_weights(alpha, t) * cost.value, axis=axis, keepdims=True)


def _categorical_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    smoothing: Any,
    alpha: Any = None,
    gamma: Any = None,
) -> dict[str, Any]:
    of = _shares(xp, x, axis)
    cost = _cost(xp, of, gamma)
    smoothed = smooth(xp, x, t, smoothing, axis)
    found: dict[str, Any] = {}
    if "x" in wrt:
        by_share = xp.where(of.inside, _weights(alpha, smoothed) * cost.slope, 0.0)
        part = by_share * of.share
        others = xp.sum(part, axis=axis, keepdims=True) - part
        found["x"] = (by_share * of.rest - others) / of.total
    if "t" in wrt:
        each = _weights(alpha, cost.value)
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    if "alpha" in wrt:
        found["alpha"] = smoothed * cost.value
    return found


class _Label(NamedTuple):
    at: Any  # whether a class is the label
    total: Any
    label: Any
    others: Any
    inside: Any


def _label(xp: Namespace, x: Any, t: Any, axis: int) -> _Label:
    c, inside = _clip(xp, x)
    at = t != 0
    label = xp.sum(xp.where(at, c, 0.0), axis=axis, keepdims=True)
    others = xp.sum(xp.where(at, 0.0, c), axis=axis, keepdims=True)
    return _Label(at, label + others, label, others, inside)


def _sparse(xp: Namespace, x: Any, t: Any, *, axis: int, dtype: str, invalid: Any) -> Any:
    """``-log`` of the share of the label in what was clipped, as TensorFlow's softmax takes it."""
    of = _label(xp, x, t, axis)
    return xp.where(invalid, math.nan, xp.log1p(of.others / xp.where(invalid, 1.0, of.label)))


def _sparse_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, axis: int, dtype: str, invalid: Any
) -> dict[str, Any]:
    if "x" not in wrt:
        return {}
    of = _label(xp, x, t, axis)
    label = xp.where(invalid, math.nan, of.label)
    each = xp.where(of.at, 0.0 - of.others / label, label / label) / of.total
    return {"x": xp.where(of.inside | invalid, each, 0.0)}


binary = weighted("clipped_binary", _binary, _binary_partials, prediction="probs", reduces="none")
binary_focal = weighted(
    "clipped_binary_focal",
    _binary_focal,
    _binary_focal_partials,
    prediction="probs",
    reduces="none",
    classes=("alpha",),
)
categorical = weighted(
    "clipped_categorical", _categorical, _categorical_partials, prediction="probs"
)
categorical_focal = weighted(
    "clipped_categorical_focal",
    _categorical,
    _categorical_partials,
    prediction="probs",
    classes=("alpha",),
)
sparse = weighted("clipped_sparse", _sparse, _sparse_partials, prediction="probs", index=True)
