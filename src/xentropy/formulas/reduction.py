"""The weight of each example, and the sum and the mean over examples."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula
from .weighting import one_hot_rows, weighted

__all__ = ["class_weights", "class_weights_index", "example_weights", "mean", "total"]


def _class_weights(
    xp: Namespace, x: Any, t: Any, *, class_weight: Any, axis: int, dtype: str, **_: Any
) -> Any:
    """``sum_c w_c t_c`` of the unsmoothed labels; the prediction gives the shape."""
    weight = class_weight * t
    # A length that is not known may be another.
    if None in tuple(weight.shape) or tuple(weight.shape) != tuple(x.shape):
        weight = weight + xp.astype(xp.zeros_like(x), getattr(xp, dtype))
    return xp.sum(weight, axis=axis, keepdims=True)


def _class_weights_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, class_weight: Any, dtype: str, **_: Any
) -> dict[str, Any]:
    zero = xp.astype(xp.zeros_like(x), getattr(xp, dtype))
    found = {"t": class_weight + zero, "class_weight": t + zero}
    return {name: found[name] for name in wrt}


class_weights = weighted(
    "class_weights",
    _class_weights,
    _class_weights_partials,
    prediction="logits",
    prediction_role="constant",
    classes=("class_weight",),
)


def _index_weights(
    xp: Namespace, x: Any, t: Any, *, class_weight: Any, axis: int, dtype: str, **_: Any
) -> Any:
    """``w_y``, without a pass over the classes; 0 of a wrong index, whose loss is NaN."""
    invalid = (t < 0) | (t >= xp.size(x, axis))
    if class_weight.ndim == 0:
        weight = class_weight * xp.astype(xp.ones_like(t), getattr(xp, dtype))
    else:
        weight = xp.gather(xp.reshape(class_weight, (-1,)), xp.where(invalid, 0, t))
    return xp.where(invalid, 0.0, weight)


def _index_weights_partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, axis: int, dtype: str, **_: Any
) -> dict[str, Any]:
    return {"class_weight": one_hot_rows(xp, x, t, axis=axis, dtype=dtype)["t"]} if wrt else {}


class_weights_index = weighted(
    "class_weights_index",
    _index_weights,
    _index_weights_partials,
    prediction="logits",
    prediction_role="constant",
    index=True,
    one_hot=False,
    classes=("class_weight",),
)


def _example_weights(
    xp: Namespace, *, losses: Any, sample_weight: Any, keep: Any, of_classes: Any, dtype: str
) -> Any:
    weight = xp.ones_like(losses) if of_classes is None else of_classes
    weight = weight if sample_weight is None else sample_weight * weight
    return weight if keep is None else xp.where(keep, weight, 0.0)


def _example_weights_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    *,
    losses: Any,
    sample_weight: Any,
    keep: Any,
    of_classes: Any,
    dtype: str,
) -> dict[str, Any]:
    one = xp.ones_like(losses)
    found = {
        "losses": xp.zeros_like(losses),
        "sample_weight": one if of_classes is None else of_classes,
        "of_classes": one if sample_weight is None else sample_weight * one,
    }
    if keep is not None:
        found = {name: xp.where(keep, x, 0.0) for name, x in found.items()}
    return {name: found[name] for name in wrt}


# The losses give the shape; nothing flows back to them.
example_weights = Formula(
    "example_weights",
    {
        "losses": "constant",
        "sample_weight": "examples",
        "keep": "constant",
        "of_classes": "examples",
    },
    "none",
    _example_weights,
    _example_weights_partials,
)


def _sum(xp: Namespace, x: Any, dtype: str, scale: float = 1.0) -> Any:
    # A new array also where there is nothing to add: the tapes know arrays by identity.
    wide = getattr(xp, dtype)
    if scale != 1.0 or not x.ndim:
        x = scale * xp.astype(x, wide)
    return xp.total(x, wide) if x.ndim else x


def _total(xp: Namespace, *, losses: Any, dtype: str, result: str) -> Any:
    return xp.astype(_sum(xp, losses, dtype), getattr(xp, result))


def _total_partials(
    xp: Namespace, wrt: tuple[str, ...], *, losses: Any, dtype: str, result: str
) -> dict[str, Any]:
    return {"losses": 1.0}


total = Formula("sum", {"losses": "summands"}, "all", _total, _total_partials)


# Fewer than 2^64 numbers, so scaled, have a sum; only what is nothing beside it is lost.
_SCALE = 2.0**-64


def _sums(
    xp: Namespace, losses: Any, weights: Any, denominator: Any, dtype: str, scale: float = 1.0
) -> tuple[Any, Any]:
    """The sum and the denominator, both times ``scale``."""
    numerator = _sum(xp, losses, dtype, scale)
    if denominator is None and weights is None:
        n = xp.size(losses, None)
        n = n if isinstance(n, int) else xp.astype(n, numerator.dtype)
        return numerator, xp.ones_like(numerator) * n * scale
    if denominator is None:
        return numerator, _sum(xp, weights, dtype, scale)
    return numerator, denominator * scale


def _quotient(
    xp: Namespace, losses: Any, weights: Any, denominator: Any, dtype: str, result: str
) -> tuple[Any, Any, Any]:
    """The mean, the denominator, and whether they are 0 / 0; the denominator is 1 there."""
    numerator, below = _sums(xp, losses, weights, denominator, dtype)
    empty = (below == 0) & (numerator == 0)
    below = xp.where(empty, 1.0, below)
    quotient = numerator / below
    if dtype == result:  # else the sums are of a wider one
        held = xp.isfinite(numerator + below)

        def scaled() -> Any:
            above, below = _sums(xp, losses, weights, denominator, dtype, _SCALE)
            return above / xp.where(held, 1.0, below)

        quotient = xp.rescue(held, quotient, scaled)
    return quotient, below, empty


def _mean(
    xp: Namespace,
    *,
    losses: Any,
    weights: Any,
    denominator: Any,
    dtype: str,
    result: str,
    of_none: str = "0",
) -> Any:
    quotient, _, empty = _quotient(xp, losses, weights, denominator, dtype, result)
    # Also of 0, which it is: so that it has no gradient where a framework finds this op by op.
    quotient = xp.where(empty, float(of_none), quotient)
    return xp.astype(quotient, getattr(xp, result))


def _mean_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    *,
    losses: Any,
    weights: Any,
    denominator: Any,
    dtype: str,
    result: str,
    of_none: str = "0",
) -> dict[str, Any]:
    n = xp.size(losses, None)
    if wrt == ("losses",) and weights is None and denominator is None and isinstance(n, int):
        return {"losses": 1.0 / n if n else 0.0}  # without a look at the losses
    quotient, below, empty = _quotient(xp, losses, weights, denominator, dtype, result)
    each = xp.where(empty, 0.0, 1.0 / below)
    fall = xp.where(empty, 0.0, -quotient / below)
    found = {"losses": each, "weights": fall, "denominator": fall}
    return {name: found[name] for name in wrt}


mean = Formula(
    "mean",
    {"losses": "summands", "weights": "summands", "denominator": "examples"},
    "all",
    _mean,
    _mean_partials,
)
