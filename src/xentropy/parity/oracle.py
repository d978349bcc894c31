"""The true losses and gradients, worked out slowly on mpmath from the definitions.

It shares no code with the library: what the two agree on was derived twice. The definitions are in
`families` and `statistics`, their arithmetic in `elementwise`; here the caller's arrays become rows
and back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .elementwise import Array, Mpf, by_coefficient, mp, mpf, row_sums, stored, times
from .families import SPECS, Pair, Rows, Spec, softmax
from .statistics import statistics

__all__ = ["Truth", "evaluate", "mp", "reduce"]


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

    spec: Spec
    layout: _Layout
    rows: Rows
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
    spec, shape = SPECS[loss], np.shape(prediction)
    axis = options.pop("axis", -1) % len(shape) if spec.by_class else None
    layout = _Layout(shape, axis)
    if layout.classes == 0:
        msg = f"the oracle needs at least one class, not {shape} along axis {axis}"
        raise ValueError(msg)
    number = {k: stored(options.pop(k, v), compute).item() for k, v in spec.numbers.items()}
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
        t = layout.rows(stored(labels, compute))
    rows = Rows(
        x=layout.rows(stored(prediction, compute)),
        t=t,
        w=layout.rows(stored(1 if w is None else w, compute), vector=True),
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
    each = layout.examples(stored(1 if sample_weight is None else sample_weight, compute))
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
        g, size = (by_coefficient(call.sample_weight, v) for v in (value, found["value"][1]))
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
    g, size = times(call.u, g), times(np.abs(call.u), size)
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
        The public name; of statistics with a dot and the name of one.
    prediction
        Any real floating dtype; an object array of mpf is taken as it is.
    labels
        Index, distribution or binary labels, or targets; None where none are needed.
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
    if loss.startswith("softmax_statistics."):
        return _statistic(loss, prediction, labels, compute, wrt, **options)
    more = any(name not in (SPECS[loss].first, "sample_weight") for name in wrt)
    call = _read(loss, prediction, labels, compute, more, options)
    found, batch, rows = call.spec.family(call.rows), call.layout.batch, call.rows
    value = np.where(call.wrong, mp.nan, found["value"][0])
    if call.spec.weight == "class_weight" and rows.weighted:
        v = np.where(call.wrong, mp.nan, row_sums(times(rows.t, rows.w)))
    else:
        v = np.full_like(value, mp.one)
    if not set(wrt) <= set(call.shapes):
        msg = f"{loss} has no gradient by {wrt}, only by {sorted(call.shapes)}"
        raise ValueError(msg)
    pairs = {name: _gradient(call, name, found, value) for name in wrt}
    return Truth(
        value=times(call.u, value).reshape(batch),
        value_scale=times(np.abs(call.u), found["value"][1]).reshape(batch),
        grads={name: pair[0] for name, pair in pairs.items()},
        grad_scales={name: pair[1] for name, pair in pairs.items()},
        weight=times(call.u, v).reshape(batch),
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
    kept, exact = layout.rows(mask, vector=mask.ndim == 1), layout.rows(stored(x, compute))
    s, live = softmax(exact, kept), np.where(kept, exact, -mp.inf)
    count = row_sums(mpf(kept.astype(float)))
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


def _statistic(
    loss: str,
    x: Array,
    labels: Any,
    compute: str,
    wrt: tuple[str, ...],
    axis: int = -1,
    class_mask: Any = None,
    ignore_index: int | None = None,
    scale: float = 1.0,
) -> Truth:
    """Return one of the statistics of a softmax that are real numbers."""
    shape, mask = np.shape(x), np.asarray(True if class_mask is None else class_mask)
    layout = _Layout(shape, axis % len(shape))
    count = int(np.prod(layout.batch))
    index = np.zeros(count, int) if labels is None else np.asarray(labels).reshape(-1)
    found = statistics(
        loss.partition(".")[2],
        layout.rows(stored(x, compute)),
        index,
        kept=layout.rows(mask, vector=mask.ndim == 1),
        ignored=[int(k) == ignore_index for k in index],
        scale=stored(scale, compute).item(),
    )
    return Truth(
        value=found.value.reshape(layout.batch),
        value_scale=found.scale.reshape(layout.batch),
        grads={name: layout.back(found.grad, shape) for name in wrt},
        grad_scales={name: layout.back(found.grad_scale, shape) for name in wrt},
        weight=np.full(layout.batch, mp.one),
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
    return total / weight if weight != 0 else times(np.asarray(total), mp.inf)
