"""The losses of Keras in longdouble, with derivatives carried along by dual numbers."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from tests.dialects.case import Array, Case

__all__ = ["CLASSES", "truth"]

Wide = np.longdouble
CLASSES = {
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "huber": "Huber",
    "log_cosh": "LogCosh",
    "kl_divergence": "KLDivergence",
    "poisson": "Poisson",
    "binary_crossentropy": "BinaryCrossentropy",
    "binary_focal_crossentropy": "BinaryFocalCrossentropy",
    "categorical_crossentropy": "CategoricalCrossentropy",
    "categorical_focal_crossentropy": "CategoricalFocalCrossentropy",
    "sparse_categorical_crossentropy": "SparseCategoricalCrossentropy",
    "categorical_generalized_cross_entropy": "CategoricalGeneralizedCrossEntropy",
}
FUNCTIONS = {name: function for function, name in CLASSES.items()}


class Dual:
    """Values, and on one axis more their derivatives by every prediction."""

    def __init__(self, v: Any, d: Any = None) -> None:
        self.v = np.asarray(v, Wide)
        self.d = np.zeros((*self.v.shape, 1), Wide) if d is None else d

    def chain(self, v: Any, slope: Any) -> Dual:
        """Of a function: its value, and its slope times the derivatives."""
        slope = np.broadcast_to(np.asarray(slope, Wide), self.v.shape)[..., None]
        # What does not depend on a prediction stays so, at an infinite slope too.
        return Dual(v, np.where(self.d == 0, 0, slope * self.d))

    def __add__(self, o: Any) -> Dual:
        o = lift(o)
        return Dual(self.v + o.v, self.d + o.d)

    __radd__ = __add__

    def __neg__(self) -> Dual:
        return Dual(-self.v, -self.d)

    def __sub__(self, o: Any) -> Dual:
        return self + -lift(o)

    def __rsub__(self, o: Any) -> Dual:
        return lift(o) + -self

    def __mul__(self, o: Any) -> Dual:
        o = lift(o)
        return Dual(self.v * o.v, self.v[..., None] * o.d + o.v[..., None] * self.d)

    __rmul__ = __mul__

    def __truediv__(self, o: Any) -> Dual:
        o = lift(o)
        quotient: Dual = self * o.chain(1 / o.v, -1 / o.v**2)
        return quotient

    def __rtruediv__(self, o: Any) -> Dual:
        quotient: Dual = lift(o) / self
        return quotient

    def sum(self, axis: int, keepdims: bool = False) -> Dual:
        axis %= self.v.ndim
        return Dual(self.v.sum(axis, keepdims=keepdims), self.d.sum(axis, keepdims=keepdims))

    def mean(self, axis: int) -> Dual:
        n = self.v.shape[axis]
        return self.sum(axis) * (1 / Wide(n) if n else np.nan)


def lift(x: Any) -> Dual:
    return x if isinstance(x, Dual) else Dual(np.asarray(x).astype(Wide))


def log(x: Dual) -> Dual:
    return x.chain(np.log(x.v), 1 / x.v)


def log1p(x: Dual) -> Dual:
    return x.chain(np.log1p(x.v), 1 / (1 + x.v))


def exp(x: Dual) -> Dual:
    return x.chain(np.exp(x.v), np.exp(x.v))


def power(x: Dual, k: float) -> Dual:
    return x.chain(x.v ** Wide(k), 0 if k == 0 else Wide(k) * x.v ** (Wide(k) - 1))


def absolute(x: Dual) -> Dual:
    return x.chain(np.abs(x.v), np.sign(x.v))


def pick(condition: Any, a: Any, b: Any) -> Dual:
    a, b = lift(a), lift(b)
    return Dual(np.where(condition, a.v, b.v), np.where(condition[..., None], a.d, b.d))


def clip(x: Dual, low: Any, high: Any) -> Dual:
    return pick(x.v < low, low, pick(x.v > high, high, x))


def bounds(dtype: str) -> tuple[Any, Any]:
    """1e-7 and 1 - 1e-7 where they are computed."""
    kind = np.float64 if dtype == "float64" else np.float32
    return Wide(kind(1e-7)), Wide(kind(1 - 1e-7))


def logistic(x: Dual) -> tuple[Dual, Dual, Dual, Dual]:
    """``p``, ``1 - p``, ``-log p`` and ``-log(1 - p)``."""
    e = exp(-absolute(x))
    positive = x.v >= 0
    large, small, rest = 1 / (1 + e), e / (1 + e), log1p(e)
    far = rest + absolute(x)
    p, q = pick(positive, large, small), pick(positive, small, large)
    return p, q, pick(positive, rest, far), pick(positive, far, rest)


def softmax(x: Dual, axis: int) -> tuple[Dual, Dual]:
    """``1 - p`` and ``-log p``."""
    top = np.argmax(x.v, axis, keepdims=True)
    at = np.indices(x.v.shape)[axis % x.v.ndim] == top
    z = x - pick(at, x, 0).sum(axis, True)
    e = exp(z)
    rest = pick(at, 0, e).sum(axis, True)
    q = pick(at, rest, (1 - e) + rest) / (1 + rest)
    return q, log1p(rest) - z


def smoothed(t: Any, s: float, n: int) -> Any:
    return lift(t) * (1 - Wide(s)) + Wide(s) / n


def rows(case: Case, function: str, t: Any, x: Dual, o: dict[str, Any], dtype: str) -> Dual:
    """What the function returns."""
    axis, s, eps = o.get("axis", -1), o.get("label_smoothing", 0.0), bounds(dtype)
    logits = o.get("from_logits", False)
    if function.startswith(("sparse", "categorical_generalized")):
        return of_indices(function, t, x, o, eps)
    t = lift(t)
    if function.startswith("categorical"):
        t = smoothed(t, s, t.v.shape[axis])
        if logits:
            q, cost = softmax(x, axis)
        else:
            share = x / x.sum(axis, True)
            c = clip(share, *eps)
            rest = (x.sum(axis, True) - x) / x.sum(axis, True)
            q = pick(c.v == share.v, rest, 1 - c)
            cost = pick(c.v > 0.5, -log1p(-q), -log(c))
        if "focal" in function:
            cost = power(q, o.get("gamma", 2.0)) * cost * np.asarray(o.get("alpha", 0.25), Wide)
        return pick(t.v == 0, 0 * cost if logits else t * cost, t * cost).sum(axis)
    if function.startswith("binary"):
        t = smoothed(t, s, 2)
        if logits:
            p, q, cost, cost_not = logistic(x)
        else:
            p, q, c = x, 1 - x, clip(x, *eps)
            cost, cost_not = -log(c), -log1p(-c)
        loss: Dual = t * cost + (1 - t) * cost_not
        if "focal" in function:
            loss = power(t * q + (1 - t) * p, o.get("gamma", 2.0)) * loss
            if o.get("apply_class_balancing"):
                a: Any = Wide(o.get("alpha", 0.25))
                loss = (t * a + (1 - t) * (1 - a)) * loss
        while axis is None and loss.v.ndim > 1:
            loss = loss.mean(-1)
        return loss.mean(-1 if axis is None else axis)
    return of_values(function, t, x, o, eps[0])


def of_indices(function: str, t: Any, x: Dual, o: dict[str, Any], eps: Any) -> Dual:
    labels = np.asarray(t).astype(np.int64)
    if labels.ndim == x.v.ndim:
        labels = labels[..., 0]
    at = np.arange(x.v.shape[-1]) == labels[..., None]
    if function.startswith("categorical"):
        q = Wide(o.get("q", 0.5))
        z = q * log(pick(at, x, 0).sum(-1))
        return -z.chain(np.expm1(z.v), np.exp(z.v)) / q
    if o.get("from_logits"):
        losses = pick(at, softmax(x, -1)[1], 0).sum(-1)
    else:
        c = clip(x, *eps)
        losses = log1p(pick(at, 0, c).sum(-1) / pick(at, c, 0).sum(-1))
    return pick(labels == o.get("ignore_class", -1), 0, losses)


def of_values(function: str, t: Dual, x: Dual, o: dict[str, Any], eps: Any) -> Dual:
    if function == "kl_divergence":
        a, b = clip(t, eps, 1), clip(x, eps, 1)
        return (a * (log(a) - log(b))).sum(-1)
    if function == "poisson":
        return (x - t * log(x + eps)).mean(-1)
    if function == "mean_squared_logarithmic_error":
        e = log1p(clip(x, eps, np.inf)) - log1p(clip(t, eps, np.inf))
        return (e * e).mean(-1)
    e = x - t
    a = absolute(e)
    if function == "mean_squared_error":
        return (e * e).mean(-1)
    if function == "mean_absolute_error":
        return a.mean(-1)
    if function == "mean_absolute_percentage_error":
        share: Dual = a / np.maximum(np.abs(t.v), eps)
        return (share * 100).mean(-1)
    if function == "huber":
        d = Wide(o.get("delta", 1.0))
        return pick(a.v <= d, e * e * Wide(0.5), d * a - d * d / 2).mean(-1)
    assert function == "log_cosh"
    far = a + log1p(exp(-2 * a)) - np.log(Wide(2))
    s = np.sinh(e.v / 2)
    near = e.chain(np.log1p(2 * np.where(a.v < 1, s, 0) ** 2), np.tanh(e.v))
    return pick(a.v < 1, near, far).mean(-1)


def fitted(t: Array, x: Dual) -> tuple[Any, Dual]:
    """Last axes of length 1, as Keras drops and adds them."""
    if t.ndim == x.v.ndim + 1 and t.shape[-1] == 1:
        if x.v.ndim == 1:
            return t, Dual(x.v[:, None], x.d[:, None])
        return t[..., 0], x
    if x.v.ndim == t.ndim + 1 and x.v.shape[-1] == 1:
        return (t[:, None], x) if t.ndim == 1 else (t, Dual(x.v[..., 0], x.d[..., 0, :]))
    return t, x


def reduced(case: Case, losses: Dual, t: Any) -> Dual:
    """What the class makes of the losses of its function."""
    assert case.call is not None
    how = case.options.get("reduction", "sum_over_batch_size")
    w = case.call.get("sample_weight")
    ones = kept = np.ones(losses.v.shape, Wide)
    if case.options.get("ignore_class") is not None:
        kept = np.where(t.reshape(losses.v.shape) == case.options["ignore_class"], Wide(0), Wide(1))
    weight = kept
    if w is not None:
        w = w.astype(Wide)
        if w.ndim == 2 and losses.v.ndim == 1:
            losses, weight = Dual(losses.v[:, None], losses.d[:, None]), kept[:, None]
        elif w.ndim == 3:
            w = w[..., 0]
        weight = w * weight if kept is not ones else w
    losses = losses * weight
    if how in ("none", None) or losses.v.shape in ((), (0,)):
        return losses
    total = losses
    while total.v.ndim:
        total = total.sum(0)
    if how == "sum":
        return total
    divisor = weight.sum() if how == "mean_with_sample_weight" else kept.sum()
    if how != "mean_with_sample_weight" and w is not None and w.ndim:
        divisor = divisor * (losses.v.size / ones.size)
    if not divisor:  # whatever the total, NaN too
        total = Dual(np.zeros_like(total.v), np.zeros_like(total.d))
    return total * (1 / divisor if divisor else 0)


def truth(case: Case) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The value, the gradient by the predictions, of inputs as the loss casts them, and scales."""
    t, y_pred = case.args
    x, name = y_pred, case.function
    if case.call is not None:
        name = FUNCTIONS[name]
        kind = case.options.get("dtype") or "float32"
        x = x.astype(ml_dtypes.bfloat16 if kind == "bfloat16" else kind)
        t = t.astype(kind if kind == "float64" else "float32")
    x = x.astype(Wide)
    dual = Dual(x, np.eye(x.size, x.size or 1, dtype=Wide).reshape(*x.shape, x.size or 1))
    with np.errstate(all="ignore"):
        if not name.startswith(("sparse", "categorical", "binary", "kl", "poisson")) or (
            case.call is not None and not name.startswith("sparse")
        ):
            t, dual = fitted(t, dual)
        dtype = str(case.options.get("dtype") or "float32") if case.call is not None else ""
        found = rows(case, name, t, dual, dict(case.options), dtype or y_pred.dtype.name)
        if case.call is not None:
            found = reduced(case, found, t)
        # A loss of NaN depends on what its own row holds alone.
        elementwise = "categorical" not in name
        bad = np.isnan(x) if elementwise else np.isnan(x).any(-1, keepdims=True) | np.isnan(x)
        slopes = np.where(np.isnan(found.d) & ~bad.reshape(-1), 0, found.d) if x.size else found.d
        gradient = slopes.sum(tuple(range(found.v.ndim)))
    gradient = np.broadcast_to(gradient, (x.size,)) if x.size else np.zeros(0, Wide)
    gradient = gradient.reshape(y_pred.shape)
    cancels = name == "categorical_focal_crossentropy" and case.options.get("label_smoothing")
    # No more than the terms, where each class has one.
    scale = np.max(np.abs(gradient), initial=0) if cancels else 0
    return found.v, (gradient,) if case.wrt else (), (0, scale) if case.wrt else (0,)
