"""Cross-entropies of probabilities that the caller has already computed."""

from __future__ import annotations

import math
from typing import Any

from xentropy._types import Namespace

from .numeric import nan_unless, over, slope, smooth, smooth_binary, times, used
from .weighting import weighted

__all__ = ["binary", "categorical_dense", "categorical_index"]


def _binary(xp: Namespace, x: Any, t: Any, *, smoothing: Any, dtype: str) -> Any:
    """``-t log p - (1 - t) log(1 - p)``."""
    pos, neg = smooth_binary(t, smoothing)
    p = used(xp, lambda: (x != 0) | (pos != 0), x, 1.0)
    q = used(xp, lambda: (x != 1) | (neg != 0), x, 0.0)
    loss = times(xp, pos, 0.0 - xp.log(p)) + times(xp, neg, 0.0 - xp.log1p(-q))
    return nan_unless(xp, loss == loss, loss) if xp.followed else loss


def _spoil(xp: Namespace, loss: Any, gradient: Any) -> Any:
    """A gradient that is NaN where the loss is."""
    return xp.where(loss == loss, gradient, math.nan)


def _binary_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, smoothing: Any, dtype: str
) -> dict[str, Any]:
    pos, neg = smooth_binary(t, smoothing)
    found: dict[str, Any] = {}
    if "x" in wrt:
        loss = _binary(xp, x, t, smoothing=smoothing, dtype=dtype)
        found["x"] = _spoil(xp, loss, over(xp, neg, 1.0 - x) - over(xp, pos, x))
    if "t" in wrt:
        each = slope(xp, pos, 0.0 - xp.log(x)) + slope(xp, neg, xp.log1p(-x))
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    return found


def _coefficients(
    xp: Namespace, x: Any, t: Any, class_weight: Any, axis: int, smoothing: Any
) -> Any:
    t = smooth(xp, x, t, smoothing, axis)
    return t if class_weight is None else class_weight * t


def _categorical(
    xp: Namespace,
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    class_weight: Any,
    smoothing: Any,
    invalid: Any = None,
) -> Any:
    """``-sum_c w_c t_c log p_c``."""
    b = _coefficients(xp, x, t, class_weight, axis, smoothing)
    p = used(xp, lambda: (x != 0) | (b != 0), x, 1.0)
    loss = xp.sum(times(xp, b, 0.0 - xp.log(p)), axis=axis, keepdims=True)
    # A label of 0 drops what is infinite, not what is NaN.
    top = xp.max(x, axis=axis, keepdims=True)
    right = (top == top) & (loss == loss)
    return nan_unless(xp, right if invalid is None else right & ~invalid, loss)


def _categorical_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    class_weight: Any,
    smoothing: Any,
    invalid: Any = None,
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        b = _coefficients(xp, x, t, class_weight, axis, smoothing)
        loss = _categorical(
            xp,
            x,
            t,
            axis=axis,
            dtype=dtype,
            class_weight=class_weight,
            smoothing=smoothing,
            invalid=invalid,
        )
        found["x"] = _spoil(xp, loss, 0.0 - over(xp, b, x))
    if "t" in wrt:
        each = 0.0 - xp.log(x)
        each = slope(xp, t, each if class_weight is None else times(xp, class_weight, each))
        found["t"] = each if smoothing is None else (1.0 - smoothing) * each
    if "class_weight" in wrt:
        each = times(xp, smooth(xp, x, t, smoothing, axis), 0.0 - xp.log(x))
        each = slope(xp, class_weight, each)
        found["class_weight"] = each if invalid is None else xp.where(invalid, math.nan, each)
    return found


binary = weighted(
    "binary_cross_entropy", _binary, _binary_partials, prediction="probs", reduces="none"
)
categorical_dense, categorical_index = (
    weighted(
        f"categorical_cross_entropy_{kind}",
        _categorical,
        _categorical_partials,
        prediction="probs",
        index=kind == "index",
        classes=("class_weight",),
    )
    for kind in ("dense", "index")
)
