"""Losses of a softmax: value and gradient from the statistics of each row.

Every one is ``sum_c b_c f_c`` with ``b`` the weighted labels, and its gradient is
``p_c (sum_k a_k - a_c) - a_c (1 - p_c)`` for some ``a``. No digit of ``1 - p`` is lost, because the
largest term stays out of the sum of exponentials.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xentropy._types import Namespace

from .formula import Formula, Role
from .numeric import exp_difference, faded, raised, slope, smooth, times, used
from .weighting import weighted

__all__ = [
    "cross_entropy_dense",
    "cross_entropy_index",
    "entropy",
    "focal_dense",
    "focal_index",
    "kl_divergence",
    "log_softmax",
    "logsumexp",
    "miss_dense",
    "poly_dense",
    "poly_index",
    "scaled_cross_entropy_index",
    "scaled_entropy",
    "scaled_logsumexp",
]


class _Rows(NamedTuple):
    """What the losses need of each row, reduced axes kept as length 1."""

    top: Any  # the maximum; NaN where the row has no softmax
    z: Any  # (x - top) / temperature * scale
    e: Any  # exp(z), 1 at the maximum
    rest: Any  # the sum of e without one maximum
    log_rest: Any  # log1p(rest): logsumexp - top

    @property
    def p(self) -> Any:
        return self.e / (1.0 + self.rest)

    @property
    def q(self) -> Any:
        """``1 - p`` from the other terms."""
        return ((1.0 - self.e) + self.rest) / (1.0 + self.rest)

    @property
    def surprise(self) -> Any:
        """``-log p``: two terms of one sign."""
        return self.log_rest - self.z

    @property
    def lse(self) -> Any:
        return self.top + self.log_rest


def _rows(
    xp: Namespace,
    x: Any,
    *,
    axis: int,
    dtype: str,
    class_mask: Any = None,
    invalid: Any = None,
    temperature: Any = None,
    scale: Any = None,
) -> _Rows:
    if class_mask is not None:
        x = xp.where(class_mask, x, -math.inf)
    peak = xp.max(x, axis=axis, keepdims=True)
    top = xp.stop_gradient(peak)
    usable = xp.isfinite(top) if invalid is None else xp.isfinite(top) & ~invalid
    top = xp.where(usable, top, math.nan)
    z, e = exp_difference(xp, x, top, temperature, dtype, scale)
    highest = x == top
    # Two sums: XLA reassociates within a sum, where an e - 1 would cost all digits of the rest. The
    # first is the number of maxima, but has their derivative.
    ties = xp.sum(xp.where(highest, e, 0.0), axis=axis, keepdims=True)
    others = xp.sum(xp.where(highest, 0.0, e), axis=axis, keepdims=True)
    rest = (ties - 1.0) + others
    if not xp.followed:
        return _Rows(top, z, e, rest, xp.log1p(rest))
    # The same numbers. In a confident row the maximum, which is one, is no constant, and what it is
    # compared with itself is: else its gradient is p - 1, without the digits of 1 - p.
    sure = rest < 1.0
    moving = xp.where(sure, peak, top)
    move = moving - top
    move = move if temperature is None else move / temperature
    move = move if scale is None else scale * move
    fall, alone = xp.exp(-move), highest & sure
    z, e = xp.where(alone, 0.0, z - move), xp.where(alone, 1.0, e * fall)
    rest = xp.where(sure, others * fall, rest)
    return _Rows(moving, z, e, rest, xp.log1p(rest))


def _product(factor: Any, x: Any) -> Any:
    return x if factor is None else factor * x


def _inside(xp: Namespace, class_mask: Any, x: Any) -> Any:
    """``x``, 0 of the classes that are masked."""
    return x if class_mask is None else xp.where(class_mask, x, 0.0)


def _loss(xp: Namespace, rows: _Rows, terms: Any, axis: int) -> Any:
    """The sum of the terms of each row; NaN where the row has no softmax."""
    return xp.sum(terms, axis=axis, keepdims=True) + (rows.top - rows.top)


def _gradient(xp: Namespace, rows: _Rows, a: Any, axis: int) -> Any:
    """``p_c (sum_k a_k - a_c) - a_c (1 - p_c)``."""
    a = a + xp.zeros_like(rows.e)  # one entry a class, also where the labels are broadcast
    return rows.p * (xp.sum(a, axis=axis, keepdims=True) - a) - a * rows.q


def _surprise(xp: Namespace, rows: _Rows) -> tuple[Any, Any]:
    return rows.surprise, None


def _poly(xp: Namespace, rows: _Rows, epsilon: Any) -> tuple[Any, Any]:
    """Poly-1 (Leng et al., ICLR 2022): ``-log p + epsilon (1 - p)``."""
    return rows.surprise + epsilon * rows.q, 1.0 + epsilon * rows.p


def _miss(xp: Namespace, rows: _Rows) -> tuple[Any, Any]:
    """``1 - p``."""
    return rows.q, rows.p


def _focal(xp: Namespace, rows: _Rows, gamma: Any) -> tuple[Any, Any]:
    """Focal loss (Lin et al., ICCV 2017): ``(1 - p)^gamma (-log p)``."""
    q = rows.q
    power = raised(xp, q, gamma)
    # -log(p) / q tends to 1 where q underflows: no negative power, finite at any confidence.
    ratio = times(xp, rows.p, rows.surprise) / xp.where(q == 0, 1.0, q)
    ratio = xp.where(q == 0, 1.0, ratio)
    return faded(xp, power, rows.surprise), power * (1.0 + gamma * ratio)


class _Family(NamedTuple):
    """The loss ``sum_c w_c t_c f_c``, its weights those of the classes.

    ``cost`` gives ``f`` and the ``a`` of ``df_c = a_c (dlse - dx_c)``, None for 1.
    """

    cost: Callable[..., tuple[Any, Any]]
    parameter: str | None = None

    def prepare(self, xp: Namespace, x: Any, **rest: Any) -> tuple[_Rows, Any, Any]:
        """The statistics of the rows, ``f`` and ``a``."""
        given = {k: rest[k] for k in ("axis", "dtype", "class_mask")}
        rows = _rows(xp, x, invalid=rest.get("invalid"), scale=rest.get("scale"), **given)
        f, a = self.cost(xp, rows, *([rest[self.parameter]] if self.parameter else []))
        return rows, f, a

    def value(self, xp: Namespace, x: Any, t: Any, **rest: Any) -> Any:
        rows, f, _ = self.prepare(xp, x, **rest)
        axis, weight, smoothing = rest["axis"], rest["class_weight"], rest["smoothing"]
        z_loss = rest["z_loss"]
        if smoothing is not None:
            t = (1.0 - smoothing) * t
        loss = _loss(xp, rows, times(xp, _product(weight, t), f), axis)
        if smoothing is not None:
            # Apart from the labels: a sum loses a digit with each addition to one large term.
            share = smooth(xp, x, 0.0, smoothing, axis, rest["class_mask"])
            loss = loss + _loss(xp, rows, times(xp, _product(weight, share), f), axis)
        return loss if z_loss is None else loss + z_loss * (rows.lse * rows.lse)

    def partials(
        self, xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, **rest: Any
    ) -> dict[str, Any]:
        rows, f, a = self.prepare(xp, x, **rest)
        t = smooth(xp, x, t, rest["smoothing"], rest["axis"], rest["class_mask"])
        weight, smoothing, z_loss = rest["class_weight"], rest["smoothing"], rest["z_loss"]
        found: dict[str, Any] = {}
        if "x" in wrt:
            g = _gradient(xp, rows, _product(a, _product(weight, t)), rest["axis"])
            if z_loss is not None:
                g = g + (2.0 * z_loss * rows.lse) * rows.p
            mask, g = rest["class_mask"], _product(rest.get("scale"), g)
            found["x"] = g if mask is None else xp.where(mask, g, 0.0)
        if "t" in wrt:
            each = slope(xp, t, f if weight is None else times(xp, weight, f))
            found["t"] = each if smoothing is None else (1.0 - smoothing) * each
        if "class_weight" in wrt:
            # NaN where the row has no softmax, whatever its labels.
            found["class_weight"] = slope(xp, weight, times(xp, t, f)) + (rows.top - rows.top)
        return found

    def formula(self, name: str, *, index: bool) -> Formula:
        """For dense or for index labels."""
        return weighted(
            name,
            self.value,
            self.partials,
            prediction="logits",
            index=index,
            classes=("class_weight",),
            constants=("class_mask",),
        )


def _divergence(xp: Namespace, x: Any, t: Any, *, axis: int, dtype: str, temperature: Any) -> Any:
    rows = _rows(xp, x, axis=axis, dtype=dtype, temperature=temperature)
    own = rows.surprise
    if xp.followed:
        # At a label of 0 that by the label is 0, as below.
        own = xp.where(t == 0, own - xp.stop_gradient(own), own)
    each = xp.log(used(xp, lambda: t != 0, t, 1.0)) + own
    loss = _loss(xp, rows, times(xp, t, each), axis)
    return loss if temperature is None else temperature * temperature * loss


def _divergence_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    x: Any,
    t: Any,
    *,
    axis: int,
    dtype: str,
    temperature: Any,
) -> dict[str, Any]:
    rows = _rows(xp, x, axis=axis, dtype=dtype, temperature=temperature)
    found: dict[str, Any] = {}
    if "x" in wrt:
        found["x"] = _product(temperature, _gradient(xp, rows, t, axis))
    if "t" in wrt:
        # 0 at a label of 0, where it is infinite; its derivative by the logits is not.
        zero = rows.surprise - xp.stop_gradient(rows.surprise)
        each = xp.log(xp.where(t == 0, 1.0, t)) + rows.surprise + 1.0
        each = xp.where(t == 0, xp.where(xp.isfinite(zero), zero, 0.0), each)
        found["t"] = each if temperature is None else temperature * temperature * each
    return found


def _logsumexp(
    xp: Namespace,
    *,
    x: Any,
    class_mask: Any,
    axis: int,
    dtype: str,
    keepdims: bool,
    scale: Any = None,
) -> Any:
    rows = _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask, scale=scale)
    kept = x if class_mask is None else xp.where(class_mask, x, -math.inf)
    top = xp.max(kept, axis=axis, keepdims=True)
    return xp.where(xp.isinf(top), top, _product(scale, rows.top) + rows.log_rest)


def _logsumexp_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    *,
    x: Any,
    class_mask: Any,
    axis: int,
    dtype: str,
    keepdims: bool,
    scale: Any = None,
) -> dict[str, Any]:
    rows = _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask, scale=scale)
    slope = _product(scale, rows.p)
    return {"x": _inside(xp, class_mask, slope)}


def _mean_drop(xp: Namespace, rows: _Rows, axis: int) -> Any:
    """The mean of ``-z`` under ``p``."""
    drops = xp.sum(times(xp, rows.e, 0.0 - rows.z), axis=axis, keepdims=True)
    return drops / (1.0 + rows.rest)


def _entropy(
    xp: Namespace, *, x: Any, class_mask: Any, axis: int, dtype: str, scale: Any = None
) -> Any:
    rows = _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask, scale=scale)
    return rows.log_rest + _mean_drop(xp, rows, axis)


def _entropy_partials(
    xp: Namespace,
    wrt: tuple[str, ...],
    *,
    x: Any,
    class_mask: Any,
    axis: int,
    dtype: str,
    scale: Any = None,
) -> dict[str, Any]:
    """``-p (log p + H)``, without ``log_rest``, which is in both."""
    rows = _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask, scale=scale)
    slope = times(xp, rows.p, (0.0 - rows.z) - _mean_drop(xp, rows, axis))
    slope = _product(scale, slope)
    return {"x": _inside(xp, class_mask, slope)}


def _log_softmax(xp: Namespace, *, x: Any, class_mask: Any, axis: int, dtype: str) -> Any:
    return 0.0 - _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask).surprise


def _log_softmax_partials(
    xp: Namespace, wrt: tuple[str, ...], *, x: Any, class_mask: Any, axis: int, dtype: str
) -> dict[str, Any]:
    rows = _rows(xp, x, axis=axis, dtype=dtype, class_mask=class_mask)
    jacobian = (xp.ones_like(rows.e), rows.p, rows.q)
    return {"x": tuple(_inside(xp, class_mask, each) for each in jacobian)}


_cross_entropy = _Family(_surprise)
cross_entropy_dense = _cross_entropy.formula("cross_entropy_dense", index=False)
cross_entropy_index = _cross_entropy.formula("cross_entropy_index", index=True)
poly_dense = _Family(_poly, "epsilon").formula("poly_dense", index=False)
poly_index = _Family(_poly, "epsilon").formula("poly_index", index=True)
miss_dense = _Family(_miss).formula("miss_dense", index=False)
focal_dense = _Family(_focal, "gamma").formula("softmax_focal_dense", index=False)
focal_index = _Family(_focal, "gamma").formula("softmax_focal_index", index=True)
kl_divergence = weighted("kl_divergence", _divergence, _divergence_partials, prediction="logits")
_ROLES: dict[str, Role] = {"x": "elements", "class_mask": "constant"}
logsumexp = Formula("logsumexp", _ROLES, "axis", _logsumexp, _logsumexp_partials)
entropy = Formula("entropy", _ROLES, "axis", _entropy, _entropy_partials)
# Of logits that are multiplied with the option ``scale``; kernels know no such option.
scaled_logsumexp = Formula("scaled_logsumexp", _ROLES, "axis", _logsumexp, _logsumexp_partials)
scaled_entropy = Formula("scaled_entropy", _ROLES, "axis", _entropy, _entropy_partials)
scaled_cross_entropy_index = _cross_entropy.formula("scaled_cross_entropy_index", index=True)
log_softmax = Formula(
    "log_softmax",
    _ROLES,
    "none",
    _log_softmax,
    _log_softmax_partials,
    coupled=True,
)
