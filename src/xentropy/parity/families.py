"""The definitions of the losses: values, gradients and their scales, row by row.

Each loss is a family of formulas, the options that are numbers, and the names of its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from .elementwise import (
    Array,
    Mpf,
    by_coefficient,
    exp,
    finite,
    log,
    log1p,
    mp,
    mpf,
    over,
    raised,
    reciprocal,
    row_sums,
    times,
)

__all__ = ["SPECS", "Pair", "Rows", "Spec", "softmax"]

Pair: TypeAlias = tuple[Array, Array]  # numbers, and the magnitudes of the terms they are sums of


@dataclass(frozen=True)
class Rows:
    """The examples of one call as (examples, classes); elementwise losses have one class."""

    x: Array
    t: Array
    w: Array  # class_weight, pos_weight or alpha; ones where absent
    weighted: bool
    kept: Array
    number: Mapping[str, Mpf]
    one_hot: Array
    more: bool  # whether gradients by labels and weights are wanted too

    def smoothing(self) -> Mpf:
        """Return the label smoothing, 0 where the loss has none."""
        return self.number.get("label_smoothing", mp.zero)


Family: TypeAlias = Callable[[Rows], dict[str, Pair]]  # by role: value, x, t and w


@dataclass(frozen=True)
class _Softmax:
    p: Array
    rest: Array  # 1 - p
    nll: Array  # -log p
    lse: Array
    top: Array
    undefined: Array


def softmax(x: Array, kept: Array, temperature: Mpf = mp.one) -> _Softmax:
    """Return the softmax of every row over the classes kept.

    The largest term stays out of the sums, so that 1 - p and -log p keep all their digits.
    """
    x = np.where(kept, x, -mp.inf)
    undefined = np.any(~finite(x) & (x != -mp.inf), axis=1) | np.all(x == -mp.inf, axis=1)
    x = np.where(undefined[:, None], mp.zero, x)
    top = x.max(axis=1, keepdims=True)
    largest = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
    e = exp((x - top) / temperature)
    others = row_sums(np.where(largest, mp.zero, e))
    whole, log_whole = 1 + others, log1p(others)
    return _Softmax(
        p=e / whole,
        rest=np.where(largest, others, whole - e) / whole,
        nll=(top - x) / temperature + log_whole,
        lse=top / temperature + log_whole,
        top=top / temperature,
        undefined=undefined[:, None],
    )


def _smoothed(rows: Rows) -> Pair:
    """Return t' = (1 - s) t + s / (number of classes kept)."""
    s = rows.smoothing()
    share = over(mpf(rows.kept.astype(float)) * s, row_sums(mpf(rows.kept.astype(float))))
    t = (1 - s) * rows.t
    return t + share, np.abs(t) + np.abs(share)


def _factors(rows: Rows, s: _Softmax) -> tuple[Pair, Pair]:
    """Return F and phi of the terms w t' F of a softmax loss, dF_c/dx_k = phi_c (p_k - [k == c]).

    With n = -log p, cross entropy: F = n, phi = 1; focal (Lin et al. 2017): F = (1-p)^g n,
    phi = (1-p)^g + g (1-p)^(g-1) p n; poly (Leng et al. 2022): F = n + e (1-p), phi = 1 + e p;
    KL at temperature T: F = T^2 (log t + n), phi = T.
    """
    n, number, one = s.nll, rows.number, np.full_like(s.p, mp.one)
    if "gamma" in number:
        power = raised(s.rest, number["gamma"])
        phi = power + number["gamma"] * over(power, s.rest) * times(s.p, n)
        return (times(power, n), times(power, n)), (phi, phi)
    if "epsilon" in number:
        e = number["epsilon"]
        return (n + e * s.rest, n + abs(e) * s.rest), (1 + e * s.p, 1 + abs(e) * s.p)
    if "temperature" in number:
        heat, log_t = number["temperature"], log(rows.t)
        return (heat**2 * (log_t + n), heat**2 * (np.abs(log_t) + n)), (heat * one, heat * one)
    return (n, n), (one, one)


def _by_label_and_weight(rows: Rows, t: Array, f: Pair) -> dict[str, Pair]:
    """Return the gradients of sum_c w_c t'_c F_c; in KL, d(t log t)/dt = log t + 1."""
    if not rows.more:
        return {}
    slope = (1 - rows.smoothing()) * rows.w
    more = np.where(t != 0, rows.number.get("temperature", mp.zero) ** 2, mp.zero)
    return {
        "t": (
            by_coefficient(t, times(slope, f[0])) + more,
            by_coefficient(t, times(np.abs(slope), f[1])) + more,
        ),
        "w": (
            by_coefficient(rows.w, times(t, f[0])),
            by_coefficient(rows.w, times(np.abs(t), f[1])),
        ),
    }


def _softmax_losses(rows: Rows) -> dict[str, Pair]:
    """Return sum_c w_c t'_c F_c + k lse^2 and (H - h_c) p_c - h_c (1 - p_c) + 2 k lse p_c.

    h_c = w_c t'_c phi_c, H their sum. The scale of the z-loss takes for lse what bounds lse itself,
    max(|max x|, |lse|).
    """
    s = softmax(rows.x, rows.kept, rows.number.get("temperature", mp.one))
    (t, t_size), z = _smoothed(rows), rows.number.get("z_loss", mp.zero)
    f, phi = _factors(rows, s)
    a = times(rows.w, t)
    z_size = abs(z) * np.maximum(np.abs(s.lse), np.abs(s.top))
    value = row_sums(times(a, f[0])) + z * s.lse**2
    scale = row_sums(times(np.abs(a), f[1])) + z_size * np.abs(s.lse)
    h, h_size = times(a, phi[0]), times(np.abs(rows.w), t_size) * phi[1]
    g = (row_sums(h) - h) * s.p - h * s.rest + 2 * z * s.lse * s.p
    one_term = (row_sums(h_size) - h_size) * s.p + h_size * s.rest
    terms = (row_sums(h_size) + 2 * z_size) * s.p + h_size
    exact = rows.one_hot & (rows.smoothing() == 0 and z == 0)
    return {
        "value": (np.where(s.undefined, mp.nan, value), scale),
        "x": (g, np.where(exact, one_term, terms)),
        **_by_label_and_weight(rows, t, f),
    }


def _likelihoods(rows: Rows) -> dict[str, Pair]:
    """Return -sum_c w_c t'_c log p_c of probabilities as they stand, not normalized."""
    t, t_size = _smoothed(rows)
    a, f = times(rows.w, t), -log(rows.x)
    terms, inverse = times(a, f), reciprocal(rows.x)
    size = times(times(np.abs(rows.w), t_size), np.abs(inverse))
    undefined = np.any(rows.x != rows.x, axis=-1, keepdims=True)
    value = np.where(undefined, mp.nan, row_sums(terms))
    return {
        "value": (value, row_sums(np.abs(terms))),
        "x": (np.where(value == value, -times(a, inverse), mp.nan), size),
        **_by_label_and_weight(rows, t, (f, np.abs(f))),
    }


def _binary(rows: Rows) -> tuple[Array, Array, Array]:
    """Return t' = (1 - s) t + s / 2, where the gradient is a single term, where x or t is NaN."""
    s = rows.smoothing()
    hard = ((rows.t == 0) | (rows.t == 1)) & (s == 0)
    return (1 - s) * rows.t + s / 2, hard, (rows.x != rows.x) | (rows.t != rows.t)


def _two_terms(rows: Rows, f1: Pair, f0: Pair, logits: bool) -> dict[str, Pair]:
    """Return q t' F1 + (1 - t') F0, of which `f1` and `f0` hold the values and the slopes."""
    t, hard, undefined = _binary(rows)
    a1, a0, keep = times(rows.w, t), 1 - t, 1 - rows.smoothing()
    v1, v0, g1, g0 = times(a1, f1[0]), times(a0, f0[0]), times(a1, f1[1]), times(a0, f0[1])
    size = np.abs(g1) + np.abs(g0)
    if logits:  # |a p| + |b t| with a = 1 - t' + q t', b = q
        size = np.where(hard, size, (np.abs(a0) + np.abs(a1)) * f0[1] + np.abs(a1))
    value = np.where(undefined, mp.nan, v1 + v0)
    found = {
        "value": (value, np.abs(v1) + np.abs(v0)),
        "x": (np.where(value == value, g1 + g0, mp.nan), size),
    }
    if rows.more:
        t1 = by_coefficient(t, times(keep * rows.w, f1[0]))
        t0 = by_coefficient(a0, times(keep, f0[0]))
        w1 = by_coefficient(rows.w, times(t, f1[0]))
        found |= {"t": (t1 - t0, np.abs(t1) + np.abs(t0)), "w": (w1, np.abs(w1))}
    return found


def _logistic(x: Array) -> tuple[Array, Array, Array, Array]:
    """Return p = sigmoid(x), 1 - p, -log p and -log(1 - p)."""
    e = exp(-np.abs(x))
    log_whole, large, small = log1p(e), 1 / (1 + e), e / (1 + e)
    p, rest = np.where(x >= 0, large, small), np.where(x >= 0, small, large)
    return p, rest, np.maximum(-x, mp.zero) + log_whole, np.maximum(x, mp.zero) + log_whole


def _sigmoids(rows: Rows) -> dict[str, Pair]:
    """Return q t' softplus(-x) + (1 - t') softplus(x)."""
    p, rest, up, down = _logistic(rows.x)
    return _two_terms(rows, (up, -rest), (down, p), logits=True)


def _bernoullis(rows: Rows) -> dict[str, Pair]:
    """Return -t' log p - (1 - t') log(1 - p)."""
    f1, f0 = (-log(rows.x), -reciprocal(rows.x)), (-log1p(-rows.x), reciprocal(1 - rows.x))
    return _two_terms(rows, f1, f0, logits=False)


def _sigmoid_focals(rows: Rows) -> dict[str, Pair]:
    """Return A f^g B (Lin et al. 2017): f = 1 - p_t, B the binary cross entropy, A = alpha_t.

    By x: dB = (1-t') p - t' (1-p), df = (1 - 2 t') p (1-p). By t': dB = softplus(-x) - softplus(x),
    df = 1 - 2 p, dA = 2 alpha - 1.
    """
    gamma, keep, (t, hard, undefined) = rows.number["gamma"], 1 - rows.smoothing(), _binary(rows)
    p, rest, up, down = _logistic(rows.x)
    b = times(t, up) + times(1 - t, down)
    f = times(t, rest) + times(1 - t, p)
    a = rows.w * t + (1 - rows.w) * (1 - t) if rows.weighted else rows.w
    power = raised(f, gamma)
    loss, f_slope = times(power, b), gamma * over(power, f)  # g f^(g-1)
    bent = f_slope * times(p * rest, b)
    g = (1 - 2 * t) * bent + power * (times(1 - t, p) - times(t, rest))
    size = np.abs(bent) + np.abs(2 * t * bent) + power * (p + np.abs(t))
    found = {
        "value": (np.where(undefined, mp.nan, times(a, loss)), np.abs(times(a, loss))),
        "x": (a * g, np.abs(a) * np.where(hard, np.abs(g), size)),
    }
    if rows.more:
        a_slope = 2 * rows.w - 1 if rows.weighted else mp.zero * rows.w
        by_t = (
            times(a * power, by_coefficient(t, up)),
            -times(a * power, by_coefficient(1 - t, down)),
            times(a * f_slope * (rest - p), b),
            times(a_slope, loss),
        )
        found["t"] = (keep * sum(by_t), keep * sum(np.abs(v) for v in by_t))
        found["w"] = ((2 * t - 1) * loss, (np.abs(t) + np.abs(1 - t)) * loss)
    return found


def _log_cosh(e: Mpf) -> Mpf:
    if abs(e) < 1:  # log(1 + sinh(e)^2) / 2 does not cancel near 0
        return mp.log1p(mp.sinh(e) ** 2) / 2
    return abs(e) + mp.log1p(mp.exp(-2 * abs(e))) - mp.log(2)


def _huber(e: Mpf, delta: Mpf) -> tuple[Mpf, Mpf]:
    if abs(e) <= delta:
        return e * e / 2, e
    return delta * (abs(e) - delta / 2), delta * mp.sign(e)


_CURVES: dict[str, Callable[[Mpf, Mpf], tuple[Mpf, Mpf]]] = {
    "squared": lambda e, _: (e * e, 2 * e),
    "absolute": lambda e, _: (abs(e), mp.sign(e)),
    "log_cosh": lambda e, _: (_log_cosh(e), mp.tanh(e)),
    "huber": _huber,
    "smooth_l1": lambda e, b: (
        tuple(v / b for v in _huber(e, b)) if b != 0 else _CURVES["absolute"](e, b)
    ),
}
"""Value and slope of the regression losses at e = prediction - target, by their parameter."""


def _regression(curve: str, parameter: str = "") -> Family:
    def losses(rows: Rows) -> dict[str, Pair]:
        at = np.frompyfunc(lambda e: _CURVES[curve](e, rows.number.get(parameter)), 1, 2)
        value, g = at(rows.x - rows.t)
        return {"value": (value, np.abs(value)), "x": (g, np.abs(g)), "t": (-g, np.abs(g))}

    return losses


@dataclass(frozen=True)
class Spec:
    """What a public loss is made of; `numbers` are its numeric options and their defaults."""

    family: Family
    numbers: Mapping[str, float] = field(default_factory=dict)
    weight: str = "no weight"
    first: str = "logits"
    labels: str = "labels"
    by_class: bool = True


_SOFTMAX = Spec(_softmax_losses, {"label_smoothing": 0.0, "z_loss": 0.0}, "class_weight")
_POLY = Spec(_softmax_losses, {**_SOFTMAX.numbers, "epsilon": 1.0}, "class_weight")
_SMOOTH, _FOCAL = {"label_smoothing": 0.0}, {"gamma": 2.0}
_PROBS = Spec(_likelihoods, _SMOOTH, "class_weight", first="probs")
_FLAT: Any = {"by_class": False}
_ERROR: Any = {"first": "predictions", "labels": "targets", "by_class": False}
SPECS: dict[str, Spec] = {
    "cross_entropy": _SOFTMAX,
    "softmax_cross_entropy": _SOFTMAX,
    "sparse_softmax_cross_entropy": _SOFTMAX,
    "sigmoid_cross_entropy": Spec(_sigmoids, _SMOOTH, "pos_weight", **_FLAT),
    "weighted_sigmoid_cross_entropy": Spec(_sigmoids, {}, "pos_weight", **_FLAT),
    "binary_cross_entropy": Spec(_bernoullis, _SMOOTH, first="probs", **_FLAT),
    "categorical_cross_entropy": _PROBS,
    "sparse_categorical_cross_entropy": _PROBS,
    "sigmoid_focal_cross_entropy": Spec(_sigmoid_focals, _SMOOTH | _FOCAL, "alpha", **_FLAT),
    "softmax_focal_cross_entropy": Spec(_softmax_losses, _FOCAL, "alpha"),
    "poly_cross_entropy": _POLY,
    "kl_divergence": Spec(_softmax_losses, {"temperature": 1.0}),
    "squared_error": Spec(_regression("squared"), **_ERROR),
    "mean_squared_error": Spec(_regression("squared"), **_ERROR),
    "absolute_error": Spec(_regression("absolute"), **_ERROR),
    "mean_absolute_error": Spec(_regression("absolute"), **_ERROR),
    "log_cosh": Spec(_regression("log_cosh"), **_ERROR),
    "huber": Spec(_regression("huber", "delta"), {"delta": 1.0}, **_ERROR),
    "smooth_l1": Spec(_regression("smooth_l1", "beta"), {"beta": 1.0}, **_ERROR),
}
