"""The losses of TensorFlow in `numpy.longdouble`: value, and the gradient by each array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = Any
Found = tuple[Array, tuple[Array, ...]]
NONZERO = "weighted_sum_by_nonzero_weights"


def wide(x: Any) -> Array:
    return np.asarray(x).astype(np.longdouble)


def times(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.where(a == 0, 0, a * b)


def summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient by what was broadcast."""
    gradient = gradient.sum(axis=tuple(range(gradient.ndim - len(shape))))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    return gradient.sum(axis=axes, keepdims=True)


def softplus(x: Array) -> Array:
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def of_sigmoid(x: Array, t: Array, q: Any = None) -> tuple[Array, Array, Array, Array]:
    """The losses, and their derivatives by labels, logits and the weight of the positive."""
    x, t, q = np.broadcast_arrays(x, t, wide(1 if q is None else q))
    up, down = softplus(x), softplus(-x)
    loss = times(q * t, down) + times(1 - t, up)
    by_x = (1 - t) * np.exp(-down) - q * t * np.exp(-up)
    by_t = np.where(q == 1, -x, q * down - up)
    return loss, by_t, by_x, times(t, down)


def of_rows(x: Array) -> tuple[Array, Array, Array]:
    """``-log p``, ``p`` and ``1 - p`` along the last axis."""
    top = x.max(axis=-1, keepdims=True)
    e = np.exp(x - top)
    place = x.argmax(axis=-1)[..., None]
    others = e.copy()
    np.put_along_axis(others, place, 0, axis=-1)
    rest = others.sum(axis=-1, keepdims=True)
    surprise = np.log1p(rest) - (x - top)
    p = np.exp(-surprise)
    q = 1 - p
    np.put_along_axis(q, place, rest / (1 + rest), axis=-1)
    return surprise, p, q


def of_softmax(x: Array, t: Array) -> tuple[Array, Array, Array]:
    """The losses, and their gradients by labels and logits; the latter ``p - t``."""
    surprise, p, q = of_rows(x)
    t = np.broadcast_to(t, x.shape)
    return times(t, surprise).sum(axis=-1), surprise, np.where(t == 1, -q, p - t)


def reduced(
    loss: Array, slopes: tuple[Array, ...], weights: Any, how: str, rows: bool = False
) -> Found:
    """The reductions of v1, whose weights come after labels and predictions."""
    w = wide(weights)
    each = np.broadcast_to(w, loss.shape)
    below = {
        "none": 1,
        "weighted_sum": 1,
        "weighted_mean": each.sum(),
        "weighted_sum_over_batch_size": loss.size,
        NONZERO: (each != 0).sum(),
    }[how]
    share = np.longdouble(1) / below if below else np.longdouble(0)
    value = times(each, loss)
    value = value if how == "none" else value.sum() * share
    scale = each * share
    scale = scale[..., None] if rows else scale
    fall = value * share if how == "weighted_mean" else 0
    return value, (*(times(scale, s) for s in slopes), summed(loss * share - fall, w.shape))


def sigmoid(labels: Array, logits: Array) -> Found:
    loss, *slopes = of_sigmoid(wide(logits), wide(labels))
    return loss, tuple(slopes)


def weighted(labels: Array, logits: Array, pos_weight: Any) -> Found:
    loss, *slopes = of_sigmoid(wide(logits), wide(labels), wide(pos_weight))
    shapes = (labels.shape, logits.shape, np.shape(pos_weight))
    return loss, tuple(summed(s, shape) for s, shape in zip(slopes, shapes, strict=True))


def softmax(labels: Array, logits: Array, axis: int = -1) -> Found:
    x, t = np.moveaxis(wide(logits), axis, -1), wide(labels)
    t = np.moveaxis(t, axis, -1) if t.ndim == x.ndim else t
    loss, *slopes = of_softmax(x, t)
    by_t, by_x = (np.moveaxis(s, -1, axis) for s in slopes)
    return loss, (summed(by_t, labels.shape), by_x)


def sparse(labels: Array, logits: Array) -> Found:
    x = wide(logits)
    loss, _, by_x = of_softmax(x, np.eye(x.shape[-1])[np.asarray(labels)])
    return loss, (None, by_x)


def l2(t: Array) -> Found:
    return (wide(t) ** 2).sum() / 2, (wide(t),)


def log_poisson(targets: Array, log_input: Array, compute_full_loss: bool = False) -> Found:
    x, t = wide(log_input), wide(targets)
    loss, by_t = np.exp(x) - t * x, -x
    if compute_full_loss:
        with np.errstate(invalid="ignore", divide="ignore"):
            log = np.log(t)
            more = t * log - t + np.log(2 * np.pi * t) / 2
            slope = log + 1 / (2 * t)
        small = (t >= 0) & (t <= 1)
        loss, by_t = loss + np.where(small, 0, more), by_t + np.where(small, 0, slope)
    return loss, (by_t, np.exp(x) - t)


def v1_softmax(
    labels: Array, logits: Array, weights: Any = 1.0, s: float = 0, reduction: str = NONZERO
) -> Found:
    x = wide(logits)
    t = (1 - np.longdouble(s)) * wide(labels) + np.longdouble(s) / x.shape[-1]
    loss, _, by_x = of_softmax(x, t if s > 0 else wide(labels))
    return reduced(loss, (np.zeros_like(x), by_x), weights, reduction, rows=True)


def v1_sparse(labels: Array, logits: Array, weights: Any = 1.0, reduction: str = NONZERO) -> Found:
    x = wide(logits)
    x = x[..., 0] if x.ndim == labels.ndim + 2 else x
    inner = labels[..., 0] if labels.ndim == x.ndim else labels
    w = wide(weights)
    w = w[..., 0] if w.ndim == inner.ndim + 1 else w
    loss, (_, by_x) = sparse(inner, x)
    value, (by_x, by_w) = reduced(loss, (by_x,), w, reduction, rows=True)
    return value, (None, by_x.reshape(logits.shape), by_w.reshape(np.shape(weights)))


def v1_sigmoid(
    labels: Array, logits: Array, weights: Any = 1.0, s: float = 0, reduction: str = NONZERO
) -> Found:
    s = max(s, 0)
    t = (1 - np.longdouble(s)) * wide(labels) + np.longdouble(s) / 2
    loss, by_t, by_x, _ = of_sigmoid(wide(logits), t)
    return reduced(loss, ((1 - np.longdouble(s)) * by_t, by_x), weights, reduction)


def v1_error(loss: Callable[..., Array], slope: Callable[..., Array]) -> Callable[..., Found]:
    def found(
        labels: Array, predictions: Array, weights: Any = 1.0, *rest: Any, reduction: str = NONZERO
    ) -> Found:
        e = wide(predictions) - wide(labels)
        by_x = slope(e, *rest)
        return reduced(loss(e, *rest), (-by_x, by_x), weights, reduction)

    return found


def v1_log_loss(
    labels: Array,
    predictions: Array,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    reduction: str = NONZERO,
) -> Found:
    p, t = wide(predictions), wide(labels)
    pos, neg = np.log(p + epsilon), np.log(1 - p + epsilon)
    by_x = (1 - t) / (1 - p + epsilon) - t / (p + epsilon)
    return reduced(-t * pos - (1 - t) * neg, (neg - pos, by_x), weights, reduction)


def huber(e: Array, delta: float = 1.0) -> Array:
    return np.where(abs(e) <= delta, e * e / 2, delta * (abs(e) - np.longdouble(delta) / 2))


FUNCTIONS: dict[str, Callable[..., Found]] = {
    "sigmoid_cross_entropy_with_logits": sigmoid,
    "weighted_cross_entropy_with_logits": weighted,
    "softmax_cross_entropy_with_logits": softmax,
    "sparse_softmax_cross_entropy_with_logits": sparse,
    "l2_loss": l2,
    "log_poisson_loss": log_poisson,
    "v1.losses.softmax_cross_entropy": v1_softmax,
    "v1.losses.sparse_softmax_cross_entropy": v1_sparse,
    "v1.losses.sigmoid_cross_entropy": v1_sigmoid,
    "v1.losses.mean_squared_error": v1_error(lambda e: e * e, lambda e: 2 * e),
    "v1.losses.absolute_difference": v1_error(np.abs, np.sign),
    "v1.losses.huber_loss": v1_error(huber, lambda e, d=1.0: np.clip(e, -d, d)),
    "v1.losses.log_loss": v1_log_loss,
}
