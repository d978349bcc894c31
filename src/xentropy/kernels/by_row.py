"""Calls of the kernels for losses of rows: how the arguments of a formula must lie."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xentropy._types import Arrays, Options
from xentropy.formulas import softmax
from xentropy.formulas.formula import Formula

from .threads import run

__all__ = ["FORMULAS", "Numbers", "State", "dtype_name", "gradient", "losses", "named", "plain"]

Array = npt.NDArray[Any]

FORMULAS = {
    softmax.cross_entropy_index: "index",
    softmax.poly_index: "index",
    softmax.focal_index: "index",
    softmax.cross_entropy_dense: "dense",
    softmax.poly_dense: "dense",
}


class Numbers(NamedTuple):
    """The numeric options of a loss; these change nothing."""

    smoothing: float = 0.0
    z_loss: float = 0.0
    epsilon: float = 0.0  # of the poly loss
    gamma: float = -1.0  # of the focal loss, where it is not negative


class _Rows(NamedTuple):
    """The arguments of a call as the kernels want them; size 0 stands for None."""

    kind: str
    shape: tuple[int, ...]
    axis: int
    dtype: Any  # of the logits as they came
    x: Array
    labels: Array
    class_weight: Array
    weights: Array
    mask: Array
    numbers: Numbers
    scale: Array


def matrix(x: Array, axis: int) -> Array:
    """The classes last, contiguous, half precision as its bits."""
    moved = np.moveaxis(x, axis, -1)
    return plain(moved.reshape(-1, moved.shape[-1]))


def plain(x: Array) -> Array:
    """Contiguous and in native byte order, half precision as its bits, 8 bits widened."""
    flat = x if x.flags.c_contiguous and x.flags.aligned else np.require(x, requirements=["C", "A"])
    if flat.dtype in _WIDE:
        return flat
    if not flat.dtype.isnative:
        flat = flat.astype(flat.dtype.newbyteorder("="))
    name = dtype_name(flat.dtype)
    if name.startswith("float8"):
        return flat.astype(np.float32)
    return flat.view(_BITS[name]) if name in _BITS else flat


_WIDE = (np.dtype(np.float32), np.dtype(np.float64))
_BITS = {"float16": np.int16, "bfloat16": np.uint16}


@functools.cache
def dtype_name(dtype: Any) -> str:
    """The name of a NumPy dtype, which takes NumPy 3 us to say."""
    return str(dtype.name)


def _prepare(formula: Formula, arrays: Arrays, options: Options) -> _Rows:
    given = dict(zip(formula.roles, arrays, strict=True))
    x, axis, real = given["logits"], options["axis"], np.dtype(options["dtype"])
    n = x.shape[axis]
    shape = x.shape[: axis % x.ndim] + x.shape[axis % x.ndim + 1 :]
    class_weight = given["class_weight"]
    if class_weight is not None:
        class_weight = np.ascontiguousarray(np.broadcast_to(class_weight, n), real)
    mask = _class_mask(given["class_mask"], x.shape, axis)
    smoothing = options["smoothing"] or 0.0
    numbers = Numbers(
        smoothing,
        options["z_loss"] or 0.0,
        options.get("epsilon", 0.0),
        options.get("gamma", -1.0),
    )
    kind = FORMULAS[formula]
    if kind == "index":
        labels = np.ascontiguousarray(given["labels"].reshape(-1), np.int64)
    else:
        labels = matrix(np.asarray(given["labels"], real), axis)
    return _Rows(
        kind,
        shape,
        axis,
        x.dtype,
        matrix(x, axis),
        labels,
        np.empty(0, real) if class_weight is None else class_weight,
        _shares(smoothing, class_weight, mask, n, real),
        np.empty((1, 0), np.bool_) if mask is None else mask,
        numbers,
        _scale(given["sample_weight"], given["keep"], shape, axis),
    )


def _class_mask(mask: Array | None, shape: tuple[int, ...], axis: int) -> Array | None:
    if mask is None:
        return None
    n = shape[axis]
    if mask.size == n and mask.ndim and mask.shape[axis] == n:
        return np.ascontiguousarray(mask.reshape(1, n))
    full = np.moveaxis(np.broadcast_to(mask, shape), axis, -1)
    return np.ascontiguousarray(full.reshape(-1, n))


def _shares(
    smoothing: float, class_weight: Array | None, mask: Array | None, n: int, real: Any
) -> Array:
    """What smoothing gives each class: ``s w_c / C``, ``C`` counting the classes kept."""
    if not smoothing:
        return np.empty((1, 0), real)
    if mask is None:
        shares = np.full((1, n), smoothing / n)
    else:
        count = np.count_nonzero(mask, axis=1, keepdims=True)
        shares = mask * (smoothing / np.maximum(count, 1))
    return np.asarray(shares if class_weight is None else shares * class_weight, real)


def _scale(
    sample_weight: Array | None, keep: Array | None, shape: tuple[int, ...], axis: int
) -> Array:
    """The weight of each row; 0 leaves it out."""
    if sample_weight is None and keep is None:
        return np.empty(0)
    scale = np.ones(shape)
    if sample_weight is not None:
        scale = scale * np.asarray(sample_weight, np.float64)
    if keep is not None:
        kept = np.squeeze(keep, axis) if keep.ndim == len(shape) + 1 else keep
        scale = np.where(kept, scale, 0.0)
    return np.ascontiguousarray(scale.reshape(-1))


class State(NamedTuple):
    """What a gradient needs of the call of its losses."""

    rows: _Rows
    saved: Array
    upstream: float | None
    early: list[Array]  # the gradient where it is known already; it can be taken once


def losses(
    engine: Any,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, State | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    rows = _prepare(formula, arrays, options)
    out = empty(rows.x.shape[:1], options["dtype"])
    saved = np.empty((rows.x.shape[0] if saving else 0, 4))
    early = saving and upstream is not None
    result = empty(rows.x.shape if early else (1, 0), rows.x.dtype)
    kernel = getattr(engine, f"{rows.kind}_rows")
    arguments = (_call(rows), upstream or 0.0, out, saved, result)
    run(kernel, arguments, rows.x.shape[0], rows.x.size)
    state = State(rows, saved, upstream, [result] if early else []) if saving else None
    return out.reshape(rows.shape), state


def gradient(engine: Any, state: State, cotangent: Array, empty: Callable[..., Array]) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    rows = state.rows
    if state.early and np.all(cotangent == state.upstream):
        return _restore(rows, state.early.pop())
    scale = np.broadcast_to(np.asarray(cotangent, np.float64), rows.shape).reshape(-1)
    scale = np.ascontiguousarray(scale * rows.scale if rows.scale.size else scale)
    if rows.scale.size:
        scale = np.where(rows.scale == 0, 0.0, scale)
    out = empty(rows.x.shape, rows.x.dtype)
    kernel = getattr(engine, f"{rows.kind}_gradients")
    like = np.empty((1, 0), rows.class_weight.dtype)
    arguments = (_call(rows), scale, state.saved, like, out)
    run(kernel, arguments, rows.x.shape[0], rows.x.size)
    return _restore(rows, out)


def _call(rows: _Rows) -> tuple[Any, ...]:
    """The `sums.Given` of the kernels, which take no class."""
    index = rows.kind == "index"
    labels, t = (rows.labels, rows.weights[:, :0]) if index else (_NO_STARTS, rows.labels)
    x, (_, n) = rows.x.reshape(-1), rows.x.shape
    options = tuple(rows.numbers)
    weights = rows.class_weight, rows.weights, rows.mask
    return (x, _NO_STARTS, n, labels, t, *weights, options, rows.scale)


_NO_STARTS = np.empty(0, np.int64)


def named(x: Array, dtype: Any) -> Array:
    """The inverse of `plain`: the numbers again in a dtype, in native byte order."""
    native = dtype.newbyteorder("=")
    return x.view(native) if native.itemsize == x.dtype.itemsize else x.astype(native)


def _restore(rows: _Rows, matrix: Array) -> Array:
    n = matrix.shape[-1]
    moved = named(matrix, rows.dtype).reshape(*rows.shape, n)
    return np.moveaxis(moved, -1, rows.axis)
