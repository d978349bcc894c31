"""The losses of torch in `numpy.longdouble`, from their definitions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

Real = np.ndarray[Any, Any]
LD = np.longdouble


class Terms:
    """Losses, what their mean divides by, and the derivative of each by the arguments.

    ``slopes`` are arrays to multiply with the upstream of each loss, or functions of it.
    """

    def __init__(self, losses: Real, *slopes: Any, divisor: Any = None) -> None:
        self.losses = losses
        self.slopes = slopes
        self.divisor: Any = LD(losses.size) if divisor is None else divisor


def fit(gradient: Real, like: Real) -> Real:
    """Sum to the shape of what was broadcast."""
    while gradient.ndim > like.ndim:
        gradient = gradient.sum(axis=0)
    for axis, n in enumerate(like.shape):
        if n == 1 and gradient.shape[axis] != 1:
            gradient = gradient.sum(axis=axis, keepdims=True)
    return np.broadcast_to(gradient, like.shape)


def run(
    terms: Callable[..., Terms],
    args: tuple[Any, ...],
    options: dict[str, Any],
    wrt: tuple[int, ...],
) -> tuple[Any, tuple[Any, ...]]:
    """The value and the gradients of a call."""
    how = options.pop("reduction")
    with np.errstate(all="ignore"):
        found = terms(*args, **options)
        total = found.losses.sum()
        below = found.divisor if how == "mean" else LD(1)
        below = LD(args[0].shape[0] if args[0].ndim else 1) if how == "batchmean" else below
        value = found.losses if how == "none" else total / below
        # The mean of nothing depends on nothing.
        upstream = np.broadcast_to(1 / below if below != 0 else LD(0), found.losses.shape)
        gradients = []
        for k in wrt:
            slope: Any = found.slopes[k]
            each: Any = slope(upstream) if callable(slope) else slope * upstream
            gradients.append(fit(each, args[k]))
    return value, tuple(gradients)


def times(a: Any, b: Any) -> Any:
    return np.where(a == 0, LD(0), a * b)


def rows(x: Real, b: Real) -> tuple[Real, Real, Real]:
    """``sum_c b_c (-log p_c)`` along the last axis, its slope by x, and ``-log p``."""
    n = x.shape[-1]
    z = x - x.max(axis=-1, keepdims=True)
    e = np.exp(z)
    others = np.einsum("...c,ck->...k", e, 1 - np.eye(n, dtype=LD))
    whole = e.sum(axis=-1, keepdims=True)
    first = np.argmax(z, axis=-1)[..., None]
    rest = np.take_along_axis(others, first, axis=-1)
    surprise = np.log1p(rest) - z
    p, q = e / whole, others / whole
    slope = p * (b.sum(axis=-1, keepdims=True) - b) - b * q
    return times(b, surprise).sum(axis=-1), slope, surprise


def last(x: Real) -> Real:
    return np.moveaxis(x, 1, -1) if x.ndim > 1 else x


def back(x: Real) -> Real:
    return np.moveaxis(x, -1, 1) if x.ndim > 1 else x


def one_hot(t: Real, n: int, ignore_index: int) -> tuple[Real, Real]:
    keep = t != ignore_index
    return (np.where(keep, t, 0)[..., None] == np.arange(n)) & keep[..., None], keep


def cross_entropy(
    x: Real,
    t: Real,
    w: Any = None,
    *,
    weight: Any = None,
    ignore_index: int,
    label_smoothing: float,
) -> Terms:
    w = weight if w is None else w
    s = LD(max(label_smoothing, 0))
    logits = last(x)
    n = logits.shape[-1]
    each = np.ones(n, LD) if w is None else w
    if x.shape == t.shape:
        smooth = (1 - s) * last(t) + s / n
        losses, slope, surprise = rows(logits, each * smooth)
        by_t = back((1 - s) * times(each, surprise))
        return Terms(
            losses,
            lambda u: back(slope * u[..., None]),
            lambda u: by_t * back(np.broadcast_to(u[..., None], logits.shape)),
            lambda u: (times(smooth, surprise) * u[..., None]).reshape(-1, n).sum(axis=0),
        )
    hot, keep = one_hot(t, n, ignore_index)
    b = each * ((1 - s) * hot + s / n * keep[..., None])
    losses, slope, _ = rows(np.where(keep[..., None], logits, 0), b)
    return Terms(losses, lambda u: back(slope * u[..., None]), divisor=(each * hot).sum())


def nll_loss(x: Real, t: Real, *, weight: Any, ignore_index: int) -> Terms:
    logits = last(x)
    hot, _ = one_hot(t, logits.shape[-1], ignore_index)
    b = hot * (LD(1) if weight is None else weight)
    losses = -times(b, logits).sum(axis=-1)
    return Terms(losses, lambda u: back(-b * u[..., None]), divisor=b.sum())


def linear_cross_entropy(
    x: Real,
    head: Real,
    t: Real,
    *,
    linear_bias: Any,
    weight: Any,
    ignore_index: int | None,
    label_smoothing: float,
    options: Any,
) -> Terms:
    flat = np.atleast_2d(x)
    matrix = head.reshape(-1, x.shape[-1])
    logits = flat @ matrix.T + (0 if linear_bias is None else linear_bias.reshape(-1))
    logits = logits.reshape(*x.shape[:-1], *head.shape[:-1])
    ignored = -100 if ignore_index is None else ignore_index
    inner = cross_entropy(
        logits, t, weight=weight, ignore_index=ignored, label_smoothing=label_smoothing
    )

    def rows_of(u: Real) -> Real:
        found: Real = inner.slopes[0](u).reshape(flat.shape[0], matrix.shape[0])
        return found

    return Terms(
        inner.losses,
        lambda u: (rows_of(u) @ matrix).reshape(x.shape),
        lambda u: (rows_of(u).T @ flat).reshape(head.shape),
        divisor=inner.divisor,
    )


def binary_cross_entropy(x: Real, t: Real, *, weight: Any) -> Terms:
    w = LD(1) if weight is None else weight
    log_p, log_q = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    slope = (x - t) / np.maximum(x * (1 - x), LD(1e-12))
    return Terms(-w * (t * log_p + (1 - t) * log_q), w * slope, w * (log_q - log_p))


def softplus(x: Real) -> Real:
    found: Real = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return found


def sigmoid(x: Real) -> Real:
    found: Real = np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x)))
    return found


def binary_cross_entropy_with_logits(x: Real, t: Real, *, weight: Any, pos_weight: Any) -> Terms:
    w = LD(1) if weight is None else weight
    v = LD(1) if pos_weight is None else pos_weight
    loss = times(v * t, softplus(-x)) + times(1 - t, softplus(x))
    slope = (1 - t) * sigmoid(x) - v * t * sigmoid(-x)
    by_t = -x if pos_weight is None else v * softplus(-x) - softplus(x)
    return Terms(w * loss, w * slope, w * by_t)


def soft_margin_loss(x: Real, t: Real) -> Terms:
    return Terms(softplus(-t * x), -t * sigmoid(-t * x))


def sigmoid_focal_loss(x: Real, t: Real, *, alpha: float, gamma: float) -> Terms:
    p, q, g = sigmoid(x), sigmoid(-x), LD(gamma)
    loss = times(t, softplus(-x)) + times(1 - t, softplus(x))
    by_x = (1 - t) * p - t * q
    miss = t * q + (1 - t) * p
    a = t * LD(alpha) + (1 - t) * (1 - LD(alpha)) if alpha >= 0 else LD(1)
    fall = (1 - 2 * t) * p * q
    slope = miss**g * by_x + times(g * fall, miss ** (g - 1)) * loss if g else by_x
    return Terms(a * miss**g * loss, a * slope)


def of_error(
    value: Callable[..., Any], slope: Callable[..., Any], by_weight: bool
) -> Callable[..., Terms]:
    def terms(
        x: Real, t: Real, *, weight: Any = None, beta: Any = None, delta: Any = None
    ) -> Terms:
        k = () if beta is delta is None else (LD(delta if beta is None else beta),)
        w = LD(1) if weight is None else weight
        e = x - t
        below = None if weight is None or not by_weight else weight.sum()
        d = slope(e, *k)
        return Terms(w * value(e, *k), w * d, -w * d, divisor=below)

    return terms


def huber(e: Real, d: Any) -> Real:
    return np.where(np.abs(e) <= d, e * e / 2, d * (np.abs(e) - d / 2))


def smooth_l1(e: Real, b: Any) -> Real:
    return np.abs(e) if b == 0 else huber(e, b) / b


def clipped(e: Real, d: Any) -> Real:
    return np.clip(e, -d, d)


def kl_div(x: Real, t: Real, *, log_target: bool) -> Terms:
    p, log_p = (np.exp(t), t) if log_target else (t, np.log(t))
    by_t = p * (t - x + 1) if log_target else log_p - x + 1
    return Terms(times(p, log_p - x), np.broadcast_to(-p, np.broadcast(x, t).shape), by_t)


def poisson_nll_loss(x: Real, t: Real, *, log_input: bool, full: bool, eps: float) -> Terms:
    log_rate = x if log_input else np.log(x + LD(eps))
    rate = np.exp(x) if log_input else x
    loss, by_t = rate - times(t, log_rate), -log_rate
    if full:
        many = t > 1
        n = np.where(many, t, 2)
        loss = loss + np.where(many, n * np.log(n) - n + np.log(2 * LD(math.pi) * n) / 2, 0)
        by_t = by_t + np.where(many, np.log(n) + 1 / (2 * n), 0)
    slope = rate - t if log_input else 1 - t / (x + LD(eps))
    return Terms(loss, slope, by_t + 0 * slope)


def gaussian_nll_loss(x: Real, t: Real, var: Any, *, full: bool, eps: float) -> Terms:
    v = np.asarray(var, LD)
    v = v[..., None] if v.ndim and v.shape == x.shape[:-1] else v
    v = np.maximum(v, LD(eps))
    e = x - t
    loss = (np.log(v) + e * e / v) / 2 + (np.log(2 * np.arccos(LD(-1))) / 2 if full else 0)
    by_v = (1 / v - (e / v) ** 2) / 2

    def pull(u: Real) -> Real:
        found = by_v * u
        return found.sum(axis=-1) if np.ndim(var) == x.ndim - 1 else found

    return Terms(loss, e / v, -e / v, pull)


ALL: dict[str, Callable[..., Terms]] = {
    "binary_cross_entropy": binary_cross_entropy,
    "binary_cross_entropy_with_logits": binary_cross_entropy_with_logits,
    "cross_entropy": cross_entropy,
    "gaussian_nll_loss": gaussian_nll_loss,
    "huber_loss": of_error(huber, clipped, by_weight=False),
    "kl_div": kl_div,
    "l1_loss": of_error(np.abs, np.sign, by_weight=True),
    "linear_cross_entropy": linear_cross_entropy,
    "mse_loss": of_error(lambda e: e * e, lambda e: 2 * e, by_weight=True),
    "nll_loss": nll_loss,
    "poisson_nll_loss": poisson_nll_loss,
    "sigmoid_focal_loss": sigmoid_focal_loss,
    "smooth_l1_loss": of_error(
        smooth_l1, lambda e, b: np.sign(e) if b == 0 else clipped(e, b) / b, by_weight=False
    ),
    "soft_margin_loss": soft_margin_loss,
}
