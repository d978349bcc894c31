"""The losses of optax in long double, differentiated by complex steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.dialects.case import Case

Wide = Any  # an array of long doubles, complex while it is differentiated
# Of an analytic function the error is the square of the step.
STEP = np.longdouble("1e-100")
LOG2 = np.log(np.longdouble(2))


def truth(case: Case) -> tuple[Any, tuple[Any, ...], tuple[Any, ...]]:
    """The value, the gradient of its sum by each argument of ``case.wrt``, and the scales."""
    options = {k: wide(x) if isinstance(x, np.ndarray) else x for k, x in case.options.items()}
    function = LOSSES[case.function]
    args = [wide(x) for x in case.args]
    with np.errstate(all="ignore"):
        value = np.real(function(*args, **options))
        grads = tuple(by_steps(function, args, options, k) for k in case.wrt)
    mixed = "kl" in case.function  # terms of both signs
    scales = (
        np.max(np.abs(value), initial=0) / 4 if mixed else 0,
        *(scale(case, args[k], g) for k, g in zip(case.wrt, grads, strict=True)),
    )
    return value, grads, scales


def wide(x: Any) -> Any:
    if x is None or (isinstance(x, np.ndarray) and x.dtype.kind in "iub"):
        return x
    return np.asarray(x).astype(np.longdouble)


def scale(case: Case, x: Wide, gradient: Wide) -> Any:
    """About a quarter of the terms that cancel in the gradient; none do where labels are hard."""
    if case.name.startswith(("far", "confident", "hard", "int", "-inf")):
        return 0
    largest = np.max(np.abs(gradient), initial=0)
    if case.function.startswith("cosine") and x.size:
        norms = np.sqrt(np.sum(x * x, axis=axes_of(case.options.get("axis", -1), x.ndim)))
        largest = np.maximum(largest, np.max(1 / norms[norms > 0], initial=0))
    return largest / 4


def by_steps(function: Callable[..., Any], args: list[Any], options: Any, k: int) -> Wide:
    found = np.zeros(np.shape(args[k]), np.longdouble)
    for at in np.ndindex(found.shape):
        moved = args[k].astype(np.clongdouble)
        moved[at] += 1j * STEP
        out = function(*args[:k], moved, *args[k + 1 :], **options)
        found[at] = np.sum(np.imag(out)) / STEP
    return found


def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    axes = range(rank) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return tuple(a % rank - rank for a in axes)


def sign(x: Wide) -> Wide:
    return np.where(np.real(x) < 0, -1, 1)


def softplus(x: Wide) -> Wide:
    a = x * sign(x)
    return np.where(np.real(x) > 0, x, 0) + np.log1p(np.exp(-a))


def surprise(x: Wide, axes: tuple[int, ...], where: Any) -> Wide:
    """``-log softmax``, 0 where it is left out."""
    kept = np.broadcast_to(True if where is None else where, x.shape)
    if not axes:
        return 0 * x
    top = np.max(np.where(kept, np.real(x), -np.inf), axis=axes, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    e = np.where(kept, np.exp(np.where(kept, x, 0) - top), 0)
    # One of the largest stays out of the sum.
    order = np.cumsum(np.where(np.real(x) == top, kept, 0), axis=axes[-1])
    first = (np.real(x) == top) & kept & (order == 1)
    for axis in axes[:-1]:
        first = first & (np.cumsum(first, axis=axis) == 1)
    rest = np.sum(np.where(first, e - 1, e), axis=axes, keepdims=True)
    return np.where(kept, np.log1p(rest) - (np.where(kept, x, 0) - top), 0)


def kept_sum(terms: Wide, axis: Any, where: Any) -> Wide:
    axes = axes_of(axis, terms.ndim)
    return np.sum(terms if where is None else np.where(where, terms, 0), axis=axes)


def rows_of(where: Any, x: Wide, axis: Any) -> Any:
    if where is None or where.ndim == x.ndim:
        return where
    return np.expand_dims(where, axes_of(axis, x.ndim))


def softmax(x: Wide, t: Any, axis: Any = -1, where: Any = None, epsilon: float = 0.0) -> Wide:
    where = rows_of(where, x, axis)
    if where is not None:
        x = x + 0 * np.zeros(np.broadcast_shapes(x.shape, where.shape))
    axes = axes_of(axis, x.ndim)
    s = surprise(x, axes, where)
    log = np.where(np.real(t) + np.imag(t) == 0, 0, s) * t
    full = tuple(a for a in axes) if axis is not None else None
    miss = kept_sum(t * (1 - np.exp(-s)), full, where)
    return kept_sum(log, full, where) + epsilon * miss


def index(x: Wide, labels: Any, axis: Any = -1, where: Any = None) -> Wide:
    axes = axes_of(axis, x.ndim)
    where = rows_of(where, x, axis)
    where = np.broadcast_to(True if where is None else where, x.shape)
    s = surprise(x, axes, where)
    inner = [a % x.ndim for a in axes]
    outer = [a for a in range(x.ndim) if a not in inner]
    shape = [x.shape[a] for a in outer]
    n = int(np.prod([x.shape[a] for a in inner], dtype=int))
    flat = s.transpose(outer + inner).reshape(*shape, n)
    kept = np.any(where.transpose(outer + inner).reshape(*shape, n), axis=-1)
    batch = np.broadcast_shapes(shape, labels.shape)
    flat = np.broadcast_to(flat, (*batch, flat.shape[-1]))
    y = np.broadcast_to(labels, batch).astype(np.int64)
    return np.where(kept, np.take_along_axis(flat, y[..., None], axis=-1)[..., 0], 0)


def sigmoid(x: Wide, t: Any) -> Wide:
    t = t * np.ones(1, np.longdouble)[0]
    return t * softplus(-x) + (1 - t) * softplus(x)


def focal(x: Wide, t: Any, *, alpha: Any = None, gamma: float = 2.0) -> Wide:
    t = t * np.ones(1, np.longdouble)[0]
    p, q = np.exp(-softplus(-x)), np.exp(-softplus(x))
    loss = np.exp(gamma * np.log(t * q + (1 - t) * p)) * sigmoid(x, t)
    return loss if alpha is None else (alpha * t + (1 - alpha) * (1 - t)) * loss


def kl(x: Wide, t: Wide, axis: Any = -1, where: Any = None) -> Wide:
    none = np.real(t) == 0
    return kept_sum(t * (np.where(none, 0, np.log(np.where(none, 1, t))) - x), axis, where)


def kl_log(x: Wide, t: Wide, axis: Any = -1, where: Any = None) -> Wide:
    return kept_sum(np.exp(t) * (t - x), axis, where)


def generalized(x: Wide, t: Wide, axis: Any = -1, where: Any = None) -> Wide:
    return kl(x, t, axis, where) + kept_sum(np.exp(x) - t, axis, where)


def error(x: Wide, t: Any) -> Wide:
    return x if t is None else x - t


def squared(x: Wide, t: Any = None) -> Wide:
    return error(x, t) ** 2


def half_squared(x: Wide, t: Any = None) -> Wide:
    return error(x, t) ** 2 / 2


def huber(x: Wide, t: Any = None, *, delta: float = 1.0) -> Wide:
    a = error(x, t) * sign(error(x, t))
    return np.where(np.real(a) <= delta, a * a / 2, delta * (a - delta / 2))


def log_cosh(x: Wide, t: Any = None) -> Wide:
    a = error(x, t) * sign(error(x, t))
    return a + np.log1p(np.exp(-2 * a)) - LOG2


def cosine(a: Wide, b: Wide, *, epsilon: float = 0.0, axis: Any = -1, where: Any = None) -> Wide:
    axes = axes_of(axis, max(a.ndim, b.ndim))

    def unit(v: Wide) -> Wide:
        kept = v if where is None else np.where(where, v, 0)
        square = np.sum(kept * kept, axis=axes, keepdims=True)
        return kept / np.sqrt(np.where(np.real(square) < epsilon, epsilon, square))

    return np.sum(unit(a) * unit(b), axis=axes)


def distance(a: Wide, b: Wide, **options: Any) -> Wide:
    return 1 - cosine(a, b, **options)


def smooth(t: Wide, alpha: Any, *, axis: Any = -1, where: Any = None) -> Wide:
    kept = np.ones(t.shape, bool) if where is None else where
    count = np.sum(kept, axis=axes_of(axis, t.ndim), keepdims=True)
    return (1 - alpha) * t + alpha / count.astype(np.longdouble)


LOSSES: dict[str, Callable[..., Any]] = {
    "convex_kl_divergence": generalized,
    "cosine_distance": distance,
    "cosine_similarity": cosine,
    "generalized_kl_divergence": generalized,
    "huber_loss": huber,
    "kl_divergence": kl,
    "kl_divergence_with_log_targets": kl_log,
    "l2_loss": half_squared,
    "log_cosh": log_cosh,
    "poly_loss_cross_entropy": lambda x, t, epsilon=2.0, **o: softmax(x, t, epsilon=epsilon, **o),
    "safe_softmax_cross_entropy": softmax,
    "sigmoid_binary_cross_entropy": sigmoid,
    "sigmoid_focal_loss": focal,
    "smooth_labels": smooth,
    "softmax_cross_entropy": softmax,
    "softmax_cross_entropy_with_integer_labels": index,
    "squared_error": squared,
}
