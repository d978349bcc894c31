"""The true losses and gradients, worked out slowly on mpmath from the definitions.

It shares no code with the library: what the two agree on was derived twice. The numbers live in a
mpmath context of its own, so the global precision of ``mpmath.mp`` neither matters nor changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from mpmath import MPContext

__all__ = ["Truth", "evaluate", "mp", "reduce"]

Array: TypeAlias = npt.NDArray[Any]
Mpf: TypeAlias = Any
Pair: TypeAlias = tuple[Array, Array]  # numbers, and the magnitudes of the terms they are sums of

mp: Any = MPContext()
mp.dps = 60


@dataclass(frozen=True)
class Truth:
    """True losses, gradients and weights, as object arrays of mpf.

    Attributes
    ----------
    value
        Per-example losses, weights applied; left-out examples are exactly 0.
    value_scale
        What a bound in ulp is relative to: the sum of the magnitudes of the terms.
    grads
        By argument name: the gradient of the sum of `value`, in the shape of the argument.
    grad_scales
        By argument name: what the bound of the gradient is relative to.
    weight
        Per-example weights, whose sum is the denominator of a mean.
    """

    value: Array
    value_scale: Array
    grads: dict[str, Array]
    grad_scales: dict[str, Array]
    weight: Array


# Elementwise functions on object arrays, with the conventions at infinities spelled out.
_mpf: Any = np.frompyfunc(mp.mpf, 1, 1)
_exp: Any = np.frompyfunc(mp.exp, 1, 1)
_log: Any = np.frompyfunc(lambda x: mp.log(x) if x >= 0 else mp.nan, 1, 1)
_log1p: Any = np.frompyfunc(lambda x: mp.log1p(x) if x >= -1 else mp.nan, 1, 1)
_power: Any = np.frompyfunc(lambda x, k: x**k if x >= 0 else mp.nan, 2, 1)
# A term whose coefficient is 0 is 0, whatever its other factor is.
_times: Any = np.frompyfunc(lambda a, f: mp.zero if a == 0 else a * f, 2, 1)
# Its derivative by the coefficient: the factor, but 0 where a coefficient of 0 dropped an infinity.
_slope: Any = np.frompyfunc(lambda a, f: f if a != 0 or mp.isfinite(f) else mp.zero, 2, 1)
_inverse: Any = np.frompyfunc(lambda x: 1 / x if x != 0 else mp.inf, 1, 1)
_over: Any = np.frompyfunc(lambda a, b: a / b if b != 0 else mp.zero, 2, 1)


def _finite(x: Array) -> Array:
    return np.asarray(np.frompyfunc(mp.isfinite, 1, 1)(x), dtype=bool)


def _total(x: Array) -> Array:
    return np.asarray(x.sum(axis=1, keepdims=True, initial=mp.zero), dtype=object)


@dataclass(frozen=True)
class _Rows:
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
        return self.number.get("label_smoothing", mp.zero)


@dataclass(frozen=True)
class _Softmax:
    p: Array
    rest: Array  # 1 - p
    nll: Array  # -log p
    lse: Array
    top: Array
    undefined: Array


def _softmax(x: Array, kept: Array, temperature: Mpf = mp.one) -> _Softmax:
    """Return the softmax of every row over the classes kept.

    The largest term stays out of the sums, so that 1 - p and -log p keep all their digits.
    """
    x = np.where(kept, x, -mp.inf)
    undefined = np.any(~_finite(x) & (x != -mp.inf), axis=1) | np.all(x == -mp.inf, axis=1)
    x = np.where(undefined[:, None], mp.zero, x)
    top = x.max(axis=1, keepdims=True)
    largest = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
    e = _exp((x - top) / temperature)
    others = _total(np.where(largest, mp.zero, e))
    whole, log_whole = 1 + others, _log1p(others)
    return _Softmax(
        p=e / whole,
        rest=np.where(largest, others, whole - e) / whole,
        nll=(top - x) / temperature + log_whole,
        lse=top / temperature + log_whole,
        top=top / temperature,
        undefined=undefined[:, None],
    )


def _smoothed(rows: _Rows) -> Pair:
    """Return t' = (1 - s) t + s / (number of classes kept)."""
    s = rows.smoothing()
    share = _over(_mpf(rows.kept.astype(float)) * s, _total(_mpf(rows.kept.astype(float))))
    t = (1 - s) * rows.t
    return t + share, np.abs(t) + np.abs(share)


def _factors(rows: _Rows, s: _Softmax) -> tuple[Pair, Pair]:
    """Return F and phi of the terms w t' F of a softmax loss, dF_c/dx_k = phi_c (p_k - [k == c]).

    With n = -log p, cross entropy: F = n, phi = 1; focal (Lin et al. 2017): F = (1-p)^g n,
    phi = (1-p)^g + g (1-p)^(g-1) p n; poly (Leng et al. 2022): F = n + e (1-p), phi = 1 + e p;
    KL at temperature T: F = T^2 (log t + n), phi = T.
    """
    n, number, one = s.nll, rows.number, np.full_like(s.p, mp.one)
    if "gamma" in number:
        power = _power(s.rest, number["gamma"])
        phi = power + number["gamma"] * _over(power, s.rest) * _times(s.p, n)
        return (_times(power, n), _times(power, n)), (phi, phi)
    if "epsilon" in number:
        e = number["epsilon"]
        return (n + e * s.rest, n + abs(e) * s.rest), (1 + e * s.p, 1 + abs(e) * s.p)
    if "temperature" in number:
        heat, log_t = number["temperature"], _log(rows.t)
        return (heat**2 * (log_t + n), heat**2 * (np.abs(log_t) + n)), (heat * one, heat * one)
    return (n, n), (one, one)


def _by_label_and_weight(rows: _Rows, t: Array, f: Pair) -> dict[str, Pair]:
    """Return the gradients of sum_c w_c t'_c F_c; in KL, d(t log t)/dt = log t + 1."""
    if not rows.more:
        return {}
    slope = (1 - rows.smoothing()) * rows.w
    more = np.where(t != 0, rows.number.get("temperature", mp.zero) ** 2, mp.zero)
    return {
        "t": (
            _slope(t, _times(slope, f[0])) + more,
            _slope(t, _times(np.abs(slope), f[1])) + more,
        ),
        "w": (_slope(rows.w, _times(t, f[0])), _slope(rows.w, _times(np.abs(t), f[1]))),
    }


def _softmax_losses(rows: _Rows) -> dict[str, Pair]:
    """Return sum_c w_c t'_c F_c + k lse^2 and (H - h_c) p_c - h_c (1 - p_c) + 2 k lse p_c.

    h_c = w_c t'_c phi_c, H their sum. The scale of the z-loss takes for lse what bounds lse itself,
    max(|max x|, |lse|).
    """
    s = _softmax(rows.x, rows.kept, rows.number.get("temperature", mp.one))
    (t, t_size), z = _smoothed(rows), rows.number.get("z_loss", mp.zero)
    f, phi = _factors(rows, s)
    a = _times(rows.w, t)
    z_size = abs(z) * np.maximum(np.abs(s.lse), np.abs(s.top))
    value = _total(_times(a, f[0])) + z * s.lse**2
    scale = _total(_times(np.abs(a), f[1])) + z_size * np.abs(s.lse)
    h, h_size = _times(a, phi[0]), _times(np.abs(rows.w), t_size) * phi[1]
    g = (_total(h) - h) * s.p - h * s.rest + 2 * z * s.lse * s.p
    one_term = (_total(h_size) - h_size) * s.p + h_size * s.rest
    terms = (_total(h_size) + 2 * z_size) * s.p + h_size
    exact = rows.one_hot & (rows.smoothing() == 0 and z == 0)
    return {
        "value": (np.where(s.undefined, mp.nan, value), scale),
        "x": (g, np.where(exact, one_term, terms)),
        **_by_label_and_weight(rows, t, f),
    }


def _likelihoods(rows: _Rows) -> dict[str, Pair]:
    """Return -sum_c w_c t'_c log p_c of probabilities as they stand, not normalized."""
    t, t_size = _smoothed(rows)
    a, f = _times(rows.w, t), -_log(rows.x)
    terms, inverse = _times(a, f), _inverse(rows.x)
    size = _times(_times(np.abs(rows.w), t_size), np.abs(inverse))
    return {
        "value": (_total(terms), _total(np.abs(terms))),
        "x": (-_times(a, inverse), size),
        **_by_label_and_weight(rows, t, (f, np.abs(f))),
    }


def _binary(rows: _Rows) -> tuple[Array, Array, Array]:
    """Return t' = (1 - s) t + s / 2, where the gradient is a single term, where x or t is NaN."""
    s = rows.smoothing()
    hard = ((rows.t == 0) | (rows.t == 1)) & (s == 0)
    return (1 - s) * rows.t + s / 2, hard, (rows.x != rows.x) | (rows.t != rows.t)


def _two_terms(rows: _Rows, f1: Pair, f0: Pair, logits: bool) -> dict[str, Pair]:
    """Return q t' F1 + (1 - t') F0, of which `f1` and `f0` hold the values and the slopes."""
    t, hard, undefined = _binary(rows)
    a1, a0, keep = _times(rows.w, t), 1 - t, 1 - rows.smoothing()
    v1, v0, g1, g0 = _times(a1, f1[0]), _times(a0, f0[0]), _times(a1, f1[1]), _times(a0, f0[1])
    size = np.abs(g1) + np.abs(g0)
    if logits:  # |a p| + |b t| with a = 1 - t' + q t', b = q
        size = np.where(hard, size, (np.abs(a0) + np.abs(a1)) * f0[1] + np.abs(a1))
    found = {
        "value": (np.where(undefined, mp.nan, v1 + v0), np.abs(v1) + np.abs(v0)),
        "x": (g1 + g0, size),
    }
    if rows.more:
        t1, t0 = _slope(t, _times(keep * rows.w, f1[0])), _slope(a0, _times(keep, f0[0]))
        w1 = _slope(rows.w, _times(t, f1[0]))
        found |= {"t": (t1 - t0, np.abs(t1) + np.abs(t0)), "w": (w1, np.abs(w1))}
    return found


def _logistic(x: Array) -> tuple[Array, Array, Array, Array]:
    """Return p = sigmoid(x), 1 - p, -log p and -log(1 - p)."""
    e = _exp(-np.abs(x))
    log_whole, large, small = _log1p(e), 1 / (1 + e), e / (1 + e)
    p, rest = np.where(x >= 0, large, small), np.where(x >= 0, small, large)
    return p, rest, np.maximum(-x, mp.zero) + log_whole, np.maximum(x, mp.zero) + log_whole


def _sigmoids(rows: _Rows) -> dict[str, Pair]:
    """Return q t' softplus(-x) + (1 - t') softplus(x)."""
    p, rest, up, down = _logistic(rows.x)
    return _two_terms(rows, (up, -rest), (down, p), logits=True)


def _bernoullis(rows: _Rows) -> dict[str, Pair]:
    """Return -t' log p - (1 - t') log(1 - p)."""
    f1, f0 = (-_log(rows.x), -_inverse(rows.x)), (-_log1p(-rows.x), _inverse(1 - rows.x))
    return _two_terms(rows, f1, f0, logits=False)


def _sigmoid_focals(rows: _Rows) -> dict[str, Pair]:
    """Return A f^g B (Lin et al. 2017): f = 1 - p_t, B the binary cross entropy, A = alpha_t.

    By x: dB = (1-t') p - t' (1-p), df = (1 - 2 t') p (1-p). By t': dB = softplus(-x) - softplus(x),
    df = 1 - 2 p, dA = 2 alpha - 1.
    """
    gamma, keep, (t, hard, undefined) = rows.number["gamma"], 1 - rows.smoothing(), _binary(rows)
    p, rest, up, down = _logistic(rows.x)
    b = _times(t, up) + _times(1 - t, down)
    f = _times(t, rest) + _times(1 - t, p)
    a = rows.w * t + (1 - rows.w) * (1 - t) if rows.weighted else rows.w
    power = _power(f, gamma)
    loss, f_slope = _times(power, b), gamma * _over(power, f)  # g f^(g-1)
    bent = f_slope * _times(p * rest, b)
    g = (1 - 2 * t) * bent + power * (_times(1 - t, p) - _times(t, rest))
    size = np.abs(bent) + np.abs(2 * t * bent) + power * (p + np.abs(t))
    found = {
        "value": (np.where(undefined, mp.nan, _times(a, loss)), np.abs(_times(a, loss))),
        "x": (a * g, np.abs(a) * np.where(hard, np.abs(g), size)),
    }
    if rows.more:
        a_slope = 2 * rows.w - 1 if rows.weighted else mp.zero * rows.w
        by_t = (
            _times(a * power, _slope(t, up)),
            -_times(a * power, _slope(1 - t, down)),
            _times(a * f_slope * (rest - p), b),
            _times(a_slope, loss),
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
    def losses(rows: _Rows) -> dict[str, Pair]:
        at = np.frompyfunc(lambda e: _CURVES[curve](e, rows.number.get(parameter)), 1, 2)
        value, g = at(rows.x - rows.t)
        return {"value": (value, np.abs(value)), "x": (g, np.abs(g)), "t": (-g, np.abs(g))}

    return losses


Family: TypeAlias = Callable[[_Rows], dict[str, Pair]]


@dataclass(frozen=True)
class _Spec:
    family: Family
    numbers: Mapping[str, float] = field(default_factory=dict)
    weight: str = "no weight"
    first: str = "logits"
    labels: str = "labels"
    by_class: bool = True


_SOFTMAX = _Spec(_softmax_losses, {"label_smoothing": 0.0, "z_loss": 0.0}, "class_weight")
_POLY = _Spec(_softmax_losses, {**_SOFTMAX.numbers, "epsilon": 1.0}, "class_weight")
_SMOOTH, _FOCAL = {"label_smoothing": 0.0}, {"gamma": 2.0}
_PROBS = _Spec(_likelihoods, _SMOOTH, "class_weight", first="probs")
_FLAT: Any = {"by_class": False}
_ERROR: Any = {"first": "predictions", "labels": "targets", "by_class": False}
_SPECS: dict[str, _Spec] = {
    "cross_entropy": _SOFTMAX,
    "softmax_cross_entropy": _SOFTMAX,
    "sparse_softmax_cross_entropy": _SOFTMAX,
    "sigmoid_cross_entropy": _Spec(_sigmoids, _SMOOTH, "pos_weight", **_FLAT),
    "weighted_sigmoid_cross_entropy": _Spec(_sigmoids, {}, "pos_weight", **_FLAT),
    "binary_cross_entropy": _Spec(_bernoullis, _SMOOTH, first="probs", **_FLAT),
    "categorical_cross_entropy": _PROBS,
    "sparse_categorical_cross_entropy": _PROBS,
    "sigmoid_focal_cross_entropy": _Spec(_sigmoid_focals, _SMOOTH | _FOCAL, "alpha", **_FLAT),
    "softmax_focal_cross_entropy": _Spec(_softmax_losses, _FOCAL, "alpha"),
    "poly_cross_entropy": _POLY,
    "kl_divergence": _Spec(_softmax_losses, {"temperature": 1.0}),
    "squared_error": _Spec(_regression("squared"), **_ERROR),
    "mean_squared_error": _Spec(_regression("squared"), **_ERROR),
    "absolute_error": _Spec(_regression("absolute"), **_ERROR),
    "mean_absolute_error": _Spec(_regression("absolute"), **_ERROR),
    "log_cosh": _Spec(_regression("log_cosh"), **_ERROR),
    "huber": _Spec(_regression("huber", "delta"), {"delta": 1.0}, **_ERROR),
    "smooth_l1": _Spec(_regression("smooth_l1", "beta"), {"beta": 1.0}, **_ERROR),
}


def _exact(array: Any, compute: str) -> Array:
    """Return `array` as stored in the compute dtype, as mpf; mpf given as such stay as they are."""
    array = np.asarray(array)
    if array.dtype != object:
        array = array.astype(compute).astype(object)
    return np.asarray(_mpf(array), dtype=object)


@dataclass(frozen=True)
class _Layout:
    """How arrays of the caller's shapes become (examples, classes), and gradients go back."""

    shape: tuple[int, ...]
    axis: int | None

    @property
    def batch(self) -> tuple[int, ...]:
        if self.axis is None:
            return self.shape
        return self.shape[: self.axis] + self.shape[self.axis + 1 :]

    @property
    def classes(self) -> int:
        return 1 if self.axis is None else self.shape[self.axis]

    def examples(self, array: Array) -> Array:
        """Spread one number per example, as a column."""
        return np.broadcast_to(array, self.batch).reshape(-1, 1)

    def rows(self, array: Array, vector: bool = False) -> Array:
        """Spread over the predictions: along the classes if `vector`, else as broadcasting does."""
        if self.axis is None:
            return np.broadcast_to(array, self.shape).reshape(-1, 1)
        if vector:
            full = np.broadcast_to(array, (*self.batch, self.classes))
        else:
            full = np.moveaxis(np.broadcast_to(array, self.shape), self.axis, -1)
        return full.reshape(-1, self.classes)

    def back(self, rows: Array, shape: tuple[int, ...], vector: bool = False) -> Array:
        """Undo `rows` and sum over what was broadcast from `shape`."""
        if self.axis is None:
            return _sum_to(rows.reshape(self.shape), shape)
        full = rows.reshape(*self.batch, self.classes)
        return _sum_to(full if vector else np.moveaxis(full, -1, self.axis), shape)


def _sum_to(full: Array, shape: tuple[int, ...]) -> Array:
    extra = full.ndim - len(shape)
    axes = (*range(extra), *(extra + i for i, n in enumerate(shape) if n == 1))
    return np.asarray(full.sum(axis=axes, keepdims=True, initial=mp.zero)).reshape(shape)


@dataclass(frozen=True)
class _Call:
    """The arguments of one call: the rows, and per example what counts and how much."""

    spec: _Spec
    layout: _Layout
    rows: _Rows
    shapes: Mapping[str, tuple[int, ...]]  # by argument name
    wrong: Array
    live: Array  # not left out by `where` or `ignore_index`
    sample_weight: Array

    @property
    def u(self) -> Array:
        return np.where(self.live, self.sample_weight, mp.zero)


def _read(
    loss: str, prediction: Array, labels: Any, compute: str, more: bool, options: dict[str, Any]
) -> _Call:
    spec, shape = _SPECS[loss], np.shape(prediction)
    axis = options.pop("axis", -1) % len(shape) if spec.by_class else None
    layout = _Layout(shape, axis)
    if layout.classes == 0:
        msg = f"the oracle needs at least one class, not {shape} along axis {axis}"
        raise ValueError(msg)
    number = {k: _exact(options.pop(k, v), compute).item() for k, v in spec.numbers.items()}
    w = options.pop(spec.weight, None)
    mask = options.pop("class_mask", True) if spec.by_class else True
    mask = True if mask is None else mask
    ignore_index = options.pop("ignore_index", None) if spec.by_class else None
    where, sample_weight = options.pop("where", None), options.pop("sample_weight", None)
    if options:
        msg = f"{loss} takes no {sorted(options)}"
        raise TypeError(msg)
    labels, wrong, ignored = np.asarray(labels), np.array(False), np.array(False)
    indices = _are_indices(loss, labels, layout)
    if indices:
        t, wrong, ignored = _one_hots(labels, layout, ignore_index)
    else:
        t = layout.rows(_exact(labels, compute))
    rows = _Rows(
        x=layout.rows(_exact(prediction, compute)),
        t=t,
        w=layout.rows(_exact(1 if w is None else w, compute), vector=True),
        weighted=w is not None,
        kept=layout.rows(np.asarray(mask), vector=np.ndim(mask) == 1),
        number=number,
        one_hot=np.all((t == 0) | (t == 1), axis=1, keepdims=True)
        & (np.sum(t == 1, axis=1, keepdims=True) == 1),
        more=more,
    )
    given = {spec.first: prediction, spec.weight: w, "sample_weight": sample_weight}
    if not indices:
        given[spec.labels] = labels
    shapes = {name: np.asarray(array).shape for name, array in given.items() if array is not None}
    live = ~ignored & layout.examples(np.asarray(True if where is None else where))
    each = layout.examples(_exact(1 if sample_weight is None else sample_weight, compute))
    return _Call(spec, layout, rows, shapes, wrong, live, each)


def _are_indices(loss: str, labels: Array, layout: _Layout) -> bool:
    either = ("cross_entropy", "softmax_focal_cross_entropy", "poly_cross_entropy")
    integers = labels.dtype.name.startswith(("int", "uint"))
    fit = integers and labels.ndim == len(layout.batch)
    return loss.startswith("sparse_") or (loss in either and fit)


def _one_hots(
    labels: Array, layout: _Layout, ignore_index: int | None
) -> tuple[Array, Array, Array]:
    """Return index labels as one-hot rows and, as columns, which are wrong and which ignored."""
    if labels.shape != layout.batch:
        msg = f"index labels of shape {labels.shape} for examples of {layout.batch}"
        raise ValueError(msg)
    index = [int(v) for v in labels.reshape(-1).tolist()]  # compared by value, whatever the dtype
    t = np.array([[mp.mpf(c == k) for c in range(layout.classes)] for k in index], dtype=object)
    wrong = np.array([not 0 <= k < layout.classes for k in index], bool)
    ignored = np.array([k == ignore_index for k in index], bool)
    return t.reshape(-1, layout.classes), wrong[:, None], ignored[:, None]


def _gradient(call: _Call, name: str, found: Mapping[str, Pair], value: Array) -> Pair:
    """Return the gradient by the argument `name` in its shape; `value` are unweighted losses."""
    rows, spec, to = call.rows, call.spec, call.shapes[name]
    if name == "sample_weight":
        g, size = (_slope(call.sample_weight, v) for v in (value, found["value"][1]))
        pair = (np.where(call.live, v, mp.zero).reshape(call.layout.batch) for v in (g, size))
        return tuple(_sum_to(v, to) for v in pair)  # type: ignore[return-value]
    role = {spec.first: "x", spec.labels: "t", spec.weight: "w"}[name]
    g, size = found[role]
    undefined = value != value
    if role == "w":  # a class that the label does not name stays out of it
        undefined = undefined & (call.wrong | (rows.t != 0) | (rows.smoothing() != 0))
    g = np.where(undefined, mp.nan, g)
    if role == "x":
        g, size = (np.where(rows.kept, v, mp.zero) for v in (g, size))
    g, size = _times(call.u, g), _times(np.abs(call.u), size)
    back = (call.layout.back(v, to, vector=role == "w") for v in (g, size))
    return tuple(back)  # type: ignore[return-value]


@np.errstate(all="ignore")  # NumPy takes a NaN from a Python function for an invalid operation
def evaluate(
    loss: str,
    prediction: Array,
    labels: Any,
    *,
    dtype: str,
    wrt: tuple[str, ...] = (),
    **options: Any,
) -> Truth:
    """Return the true per-example losses of a public loss, and gradients of their sum.

    Parameters
    ----------
    loss
        The public name.
    prediction
        Any real floating dtype; an object array of mpf is taken as it is.
    labels
        Index, distribution or binary labels, or targets; None for `logsumexp` and `log_softmax`.
    dtype
        ``"float64"`` to compute in it; with any other the compute dtype is float32. Arrays and
        numeric options are converted to it before their exact values are taken.
    wrt
        Names of arguments to differentiate by, as in the signature of the loss.
    **options
        The keyword arguments of the loss except `reduction` and `denominator`.

    Notes
    -----
    A wrong index makes the loss and its gradient NaN; a removed class has gradient 0 even there.
    Where a term is dropped because its coefficient (a label, a weight) is 0, its derivative by that
    coefficient is the other factor where that is finite, else 0.
    """
    compute = "float64" if dtype == "float64" else "float32"
    if loss in ("logsumexp", "log_softmax"):
        return _normalizer(loss, prediction, compute, wrt, **options)
    more = any(name not in (_SPECS[loss].first, "sample_weight") for name in wrt)
    call = _read(loss, prediction, labels, compute, more, options)
    found, batch, rows = call.spec.family(call.rows), call.layout.batch, call.rows
    value = np.where(call.wrong, mp.nan, found["value"][0])
    if call.spec.weight == "class_weight" and rows.weighted:
        v = np.where(call.wrong, mp.nan, _total(_times(rows.t, rows.w)))
    else:
        v = np.full_like(value, mp.one)
    if not set(wrt) <= set(call.shapes):
        msg = f"{loss} has no gradient by {wrt}, only by {sorted(call.shapes)}"
        raise ValueError(msg)
    pairs = {name: _gradient(call, name, found, value) for name in wrt}
    return Truth(
        value=_times(call.u, value).reshape(batch),
        value_scale=_times(np.abs(call.u), found["value"][1]).reshape(batch),
        grads={name: pair[0] for name, pair in pairs.items()},
        grad_scales={name: pair[1] for name, pair in pairs.items()},
        weight=_times(call.u, v).reshape(batch),
    )


def _normalizer(
    loss: str,
    x: Array,
    compute: str,
    wrt: tuple[str, ...],
    axis: int = -1,
    where: Any = None,
    keepdims: bool = False,
) -> Truth:
    """Return logsumexp, whose gradient is p, or log_softmax, whose sum has gradient 1 - K p."""
    shape, mask = np.shape(x), np.asarray(True if where is None else where)
    layout = _Layout(shape, axis % len(shape))
    kept, exact = layout.rows(mask, vector=mask.ndim == 1), layout.rows(_exact(x, compute))
    s, live = _softmax(exact, kept), np.where(kept, exact, -mp.inf)
    count = _total(_mpf(kept.astype(float)))
    if loss == "logsumexp":
        bad = np.any(live != live, axis=1, keepdims=True)
        extreme = np.where(bad, mp.nan, np.where(bad, mp.zero, live).max(axis=1, keepdims=True))
        value = np.where(s.undefined, extreme, s.lse)
        scale = np.maximum(np.abs(s.lse), np.abs(s.top))
        g, size = s.p, s.p
        to = tuple(1 if keepdims and i == layout.axis else n for i, n in enumerate(shape))
        value, scale = (v.reshape(to if keepdims else layout.batch) for v in (value, scale))
    else:
        value = layout.back(np.where(s.undefined, mp.nan, -s.nll), shape)
        scale = layout.back(s.nll, shape)
        g, size = 1 - count * s.p, 1 + count * s.p
    g = np.where(kept, np.where(s.undefined, mp.nan, g), mp.zero)
    size = np.where(kept, size, mp.zero)
    return Truth(
        value=value,
        value_scale=scale,
        grads={name: layout.back(g, shape) for name in wrt},
        grad_scales={name: layout.back(size, shape) for name in wrt},
        weight=np.full(value.shape, mp.one),
    )


def reduce(truth: Truth, reduction: str, denominator: float | None = None) -> Mpf:
    """Return the sum of the losses or their mean: the sum divided by that of the weights.

    `denominator` replaces the sum of the weights; 0 / 0 is 0.
    """
    total = sum(truth.value.reshape(-1).tolist(), mp.zero)
    if reduction == "sum":
        return total
    if reduction != "mean":
        msg = f"the oracle reduces by 'sum' or 'mean', not {reduction!r}"
        raise ValueError(msg)
    if denominator is None:
        weight = sum(truth.weight.reshape(-1).tolist(), mp.zero)
    else:
        weight = mp.mpf(np.asarray(denominator).item())
    return total / weight if weight != 0 else _times(np.asarray(total), mp.inf)
