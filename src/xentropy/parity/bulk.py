"""The true losses and gradients of large arrays, in extended precision and in blocks of rows.

It takes over from mpmath where there are too many numbers for it. With at least 64 bits in the
significand its own error is some thousandths of a float64 ulp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentropy.errors import UnsupportedError

from .oracle import Truth

__all__ = ["LOSSES", "blocks", "evaluate", "reduce", "supported"]

Array: TypeAlias = npt.NDArray[Any]
Pair: TypeAlias = tuple[Array, Array]  # numbers, and the magnitudes of the terms they are sums of

_L = np.longdouble
_BITS = np.finfo(np.longdouble).nmant + 1
_ENOUGH_BITS = 64
_BLOCK = 2**19
"""Numbers per block: about ten temporaries of this size are alive at a time."""

_SOFTMAX = ("cross_entropy", "softmax_cross_entropy", "sparse_softmax_cross_entropy")
_SIGMOID = ("sigmoid_cross_entropy", "weighted_sigmoid_cross_entropy")
_FIRST: dict[str, str] = dict.fromkeys(_SOFTMAX + _SIGMOID, "logits")
_FIRST |= dict.fromkeys(("squared_error", "absolute_error", "huber"), "predictions")
_NUMBERS = {"label_smoothing": 0.0, "z_loss": 0.0, "delta": 1.0}
LOSSES = tuple(_FIRST)
"""The losses known here."""


def supported() -> bool:
    """Return whether `np.longdouble` is wide enough here."""
    return _BITS >= _ENOUGH_BITS


def _number(value: Any, compute: str) -> Array:
    """Return numbers as they are in the compute dtype; those that are wider stay as they are."""
    array = np.asarray(value)
    with np.errstate(all="ignore"):
        return np.asarray(array if array.dtype == _L else array.astype(compute), dtype=_L)


def _times(coefficient: Array, factor: Array) -> Array:
    """Return the product; a coefficient of 0 makes it 0 whatever the factor is."""
    return np.where(coefficient == 0, 0, coefficient * factor)


@dataclass(frozen=True)
class _Block:
    x: Array
    t: Array
    w: Array
    kept: Array
    wrong: Array
    one_hot: Array
    number: Mapping[str, Any]


def _softmax_block(b: _Block) -> tuple[Pair, Pair]:
    """Return sum_c w_c t'_c (lse - x_c) + k lse^2 and its gradient, with the scales of both.

    The largest term stays out of the sums, and the remainder of x - max (Knuth's two-difference)
    goes into the exponential, or probabilities far below 1 lose |x - max| half-ulps.
    """
    s, z = b.number["label_smoothing"], b.number["z_loss"]
    x = np.where(b.kept, b.x, -np.inf)
    top = x.max(axis=1, keepdims=True)
    undefined = ~np.isfinite(top)
    x, top = np.where(undefined, 0, x), np.where(undefined, 0, top)
    e = _exp_difference(x, top)
    largest = np.arange(x.shape[1]) == x.argmax(axis=1)[:, None]
    others = np.where(largest, 0, e).sum(axis=1, keepdims=True)
    p, rest = e / (1 + others), np.where(largest, others, 1 + others - e) / (1 + others)
    lse, nll = top + np.log1p(others), (top - x) + np.log1p(others)
    share = s * b.kept / np.maximum(b.kept.sum(axis=1, keepdims=True), 1)
    h, h_size = _times(b.w, (1 - s) * b.t + share), np.abs(b.w) * (np.abs((1 - s) * b.t) + share)
    z_size = np.abs(z) * np.maximum(np.abs(lse), np.abs(top))
    value = _times(h, nll).sum(axis=1, keepdims=True) + z * lse**2
    scale = _times(np.abs(h), nll).sum(axis=1, keepdims=True) + z_size * np.abs(lse)
    total, size = h.sum(axis=1, keepdims=True), h_size.sum(axis=1, keepdims=True)
    g = (total - h) * p - h * rest + 2 * z * lse * p
    if s == 0 and z == 0:
        one_term = (size - h_size) * p + h_size * rest
        g_size = np.where(b.one_hot, one_term, size * p + h_size)
    else:
        g_size = (size + 2 * z_size) * p + h_size
    return (np.where(undefined, np.nan, value), scale), (g, g_size)


def _exp_difference(x: Array, top: Array) -> Array:
    """Return exp(x - top) where `top` is finite and x is finite or -inf."""
    d = x - top
    back = d - x
    remainder = (x - (d - back)) - (top + back)
    return np.asarray(np.exp(d) * (1 + np.where(np.isfinite(d), remainder, 0)), dtype=_L)


def _sigmoid_block(b: _Block) -> tuple[Pair, Pair]:
    """Return q t' softplus(-x) + (1 - t') softplus(x) and (1 - t') p - q t' (1 - p)."""
    s = b.number["label_smoothing"]
    e, t = np.exp(-np.abs(b.x)), (1 - s) * b.t + s / 2
    large, small, log_whole = 1 / (1 + e), e / (1 + e), np.log1p(e)
    p, rest = np.where(b.x >= 0, large, small), np.where(b.x >= 0, small, large)
    a1, a0 = _times(b.w, t), 1 - t
    v1 = _times(a1, np.maximum(-b.x, 0) + log_whole)
    v0 = _times(a0, np.maximum(b.x, 0) + log_whole)
    g1, g0 = _times(-a1, rest), _times(a0, p)
    hard = ((b.t == 0) | (b.t == 1)) & (s == 0)
    size = (np.abs(a0) + np.abs(a1)) * p + np.abs(a1)
    value = np.where(np.isnan(b.x) | np.isnan(t), np.nan, v1 + v0)
    g_size = np.where(hard, np.abs(g1) + np.abs(g0), size)
    return (value, np.abs(v1) + np.abs(v0)), (g1 + g0, g_size)


def _regression_block(b: _Block, loss: str) -> tuple[Pair, Pair]:
    e = b.x - b.t
    size = np.abs(e)
    if loss == "squared_error":
        value, g = e * e, 2 * e
    elif loss == "absolute_error":
        value, g = size, np.sign(e)
    else:
        delta = b.number["delta"]
        value = np.where(size <= delta, e * e / 2, delta * (size - delta / 2))
        g = np.where(size <= delta, e, delta * np.sign(e))
    return (value, np.abs(value)), (g, np.abs(g))


@dataclass(frozen=True)
class _Call:
    """The arguments of one call as views, the classes last, to be read block by block."""

    loss: str
    compute: str
    batch: tuple[int, ...]
    classes: int  # 1 where the loss is elementwise
    wide: Mapping[str, Array]  # x, t, w and kept: a number per example and class
    narrow: Mapping[str, Array]  # where, sample_weight and index: a number per example
    number: Mapping[str, Any]
    ignore_index: int | None
    weighted: bool  # whether the class weight counts in a mean

    def take(self, name: str, rows: slice) -> Array:
        """Return some examples of an argument, as stored."""
        if name in self.narrow:
            return self.narrow[name].flat[rows].reshape(-1, 1)
        numbers = self.wide[name].flat[rows.start * self.classes : rows.stop * self.classes]
        return numbers.reshape(-1, self.classes)

    def block(self, rows: slice) -> _Block:
        """Return some examples, converted."""
        x = _number(self.take("x", rows), self.compute)
        wrong = np.zeros((len(x), 1), bool)
        if "index" in self.narrow:
            index = self.take("index", rows)
            t = (index == np.arange(self.classes)).astype(_L)
            wrong = (index < 0) | (index >= self.classes)
        else:
            t = _number(self.take("t", rows), self.compute)
        hard = ((t == 0) | (t == 1)).all(axis=1, keepdims=True)
        return _Block(
            x=x,
            t=t,
            w=_number(self.take("w", rows), self.compute),
            kept=self.take("kept", rows),
            wrong=wrong,
            one_hot=hard & ((t == 1).sum(axis=1, keepdims=True) == 1),
            number=self.number,
        )

    def weight(self, rows: slice) -> Array:
        """Return where * sample_weight of some examples, 0 for those ignored."""
        live = self.take("where", rows)
        if "index" in self.narrow and self.ignore_index is not None:
            live = live & (self.take("index", rows) != self.ignore_index)
        return np.where(live, _number(self.take("sample_weight", rows), self.compute), 0)

    def truth(self, rows: slice, wrt: tuple[str, ...]) -> Truth:
        """Return the truth of some examples."""
        b, u = self.block(rows), self.weight(rows)
        if self.loss in _SOFTMAX:
            (value, scale), (g, g_size) = _softmax_block(b)
        elif self.loss in _SIGMOID:
            (value, scale), (g, g_size) = _sigmoid_block(b)
        else:
            (value, scale), (g, g_size) = _regression_block(b, self.loss)
        value = np.where(b.wrong, np.nan, value)
        g = np.where(b.kept, np.where(np.isnan(value), np.nan, g), 0)
        v = np.ones_like(value)
        if self.weighted:
            v = np.where(b.wrong, np.nan, _times(b.t, b.w).sum(axis=1, keepdims=True))
        return Truth(
            value=_times(u, value)[:, 0],
            value_scale=_times(np.abs(u), scale)[:, 0],
            grads={name: _times(u, g) for name in wrt},
            grad_scales={name: _times(np.abs(u), np.where(b.kept, g_size, 0)) for name in wrt},
            weight=_times(u, v)[:, 0],
        )


def _read(loss: str, prediction: Array, labels: Any, dtype: str, options: dict[str, Any]) -> _Call:
    shape, by_class = np.shape(prediction), loss in _SOFTMAX
    axis = options.pop("axis", -1) % len(shape) if by_class else None
    batch = shape if axis is None else shape[:axis] + shape[axis + 1 :]
    classes = 1 if axis is None else shape[axis]

    def spread(array: Any, vector: bool = False) -> Array:
        if axis is None:
            return np.broadcast_to(array, shape)
        if vector:
            return np.broadcast_to(array, (*batch, classes))
        return np.moveaxis(np.broadcast_to(array, shape), axis, -1)

    def given(name: str, otherwise: Any) -> Array:
        value = options.pop(name, None)
        return np.asarray(otherwise if value is None else value)

    compute = "float64" if dtype == "float64" else "float32"
    weighted = options.get("class_weight") is not None
    w, mask = given("class_weight" if by_class else "pos_weight", 1), given("class_mask", True)
    narrow = {"where": given("where", True), "sample_weight": given("sample_weight", 1)}
    wide = {"x": spread(prediction), "w": spread(w, True), "kept": spread(mask, mask.ndim == 1)}
    labels = np.asarray(labels)
    integers = labels.ndim == len(batch) and labels.dtype.name.startswith(("int", "uint"))
    if loss.startswith("sparse_") or (loss == "cross_entropy" and integers):
        if labels.shape != batch:
            msg = f"index labels of shape {labels.shape} for examples of {batch}"
            raise ValueError(msg)
        narrow["index"] = labels if labels.dtype == np.uint64 else labels.astype(np.int64)
    else:
        wide["t"] = spread(labels)
    number = {k: _number(options.pop(k, v), compute) for k, v in _NUMBERS.items()}
    ignore_index = options.pop("ignore_index", None)
    if options:
        msg = f"{loss} takes no {sorted(options)} in bulk"
        raise TypeError(msg)
    narrow = {name: np.broadcast_to(array, batch) for name, array in narrow.items()}
    return _Call(loss, compute, batch, classes, wide, narrow, number, ignore_index, weighted)


def blocks(
    loss: str,
    prediction: Array,
    labels: Any,
    *,
    dtype: str,
    wrt: tuple[str, ...] = (),
    size: int = _BLOCK,
    **options: Any,
) -> Iterator[tuple[slice, Truth]]:
    """Yield slices of the examples, in C order, and the truth of each as longdouble arrays.

    Gradients are (examples, classes), with one class where the loss is elementwise. Arguments are
    those of `oracle.evaluate`; `wrt` can name the predictions only. `size` is the number of
    predictions per block, at least one example.

    Raises
    ------
    UnsupportedError
        If `np.longdouble` is no wider than float64 on this platform.
    ValueError
        If the loss is not in `LOSSES`, or `wrt` names another argument.
    """
    if not supported():
        msg = (
            f"np.longdouble has {_BITS} bits here and {_ENOUGH_BITS} are needed: "
            "use xentropy.parity.oracle on a sample"
        )
        raise UnsupportedError(msg)
    if loss not in LOSSES or any(name != _FIRST[loss] for name in wrt):
        msg = f"not done in bulk: {loss!r} with respect to {wrt}; {_FIRST} is"
        raise ValueError(msg)
    call = _read(loss, prediction, labels, dtype, options)
    step, examples = max(1, size // call.classes), int(np.prod(call.batch, dtype=np.int64))
    for start in range(0, examples, step):
        rows = slice(start, min(start + step, examples))
        with np.errstate(all="ignore"):
            truth = call.truth(rows, wrt)
        yield rows, truth


def evaluate(
    loss: str,
    prediction: Array,
    labels: Any,
    *,
    dtype: str,
    wrt: tuple[str, ...] = (),
    **options: Any,
) -> Truth:
    """Return what `oracle.evaluate` does, as longdouble arrays; see `blocks` for what is known.

    The result takes 16 bytes a number and gradient element: where that is too much, use `blocks`.
    """
    shape, axis = np.shape(prediction), options.get("axis", -1)
    batch = tuple(np.delete(shape, axis).tolist()) if loss in _SOFTMAX else shape
    examples = int(np.prod(batch, dtype=np.int64))
    flat = {name: np.zeros(examples, _L) for name in ("value", "value_scale", "weight")}
    classes = shape[axis] if loss in _SOFTMAX else 1
    grads = {name: np.zeros((examples, classes), _L) for name in wrt}
    scales = {name: np.zeros((examples, classes), _L) for name in wrt}
    for rows, part in blocks(loss, prediction, labels, dtype=dtype, wrt=wrt, **options):
        for name, array in flat.items():
            array[rows] = getattr(part, name)
        for name in wrt:
            grads[name][rows], scales[name][rows] = part.grads[name], part.grad_scales[name]

    def back(rows: Array) -> Array:
        if loss not in _SOFTMAX:
            return rows.reshape(shape)
        return np.moveaxis(rows.reshape(*batch, classes), -1, axis)

    return Truth(
        **{name: array.reshape(batch) for name, array in flat.items()},
        grads={name: back(rows) for name, rows in grads.items()},
        grad_scales={name: back(rows) for name, rows in scales.items()},
    )


def reduce(truth: Truth, reduction: str, denominator: float | None = None) -> np.longdouble:
    """Return the sum or the mean of the losses, as `oracle.reduce` does."""
    total = np.sum(truth.value, dtype=_L)
    if reduction == "sum":
        return total
    if reduction != "mean":
        msg = f"losses are reduced by 'sum' or 'mean', not {reduction!r}"
        raise ValueError(msg)
    weight = np.sum(truth.weight, dtype=_L) if denominator is None else _L(denominator)
    with np.errstate(divide="ignore", invalid="ignore"):
        return total / weight if weight != 0 or total != 0 else _L(0)
