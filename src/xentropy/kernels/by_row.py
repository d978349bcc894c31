"""Calls of the kernels for losses of rows: how the arguments of a formula must lie."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xentropy.formulas import softmax

from .early import Early
from .engine import Engine
from .memory import ABSENT, Rows, memory_for, result_of, rows_of
from .request import Request

__all__ = ["FORMULAS", "Call", "Numbers", "State", "class_mask_of", "gradient", "losses", "prepare"]

Array = npt.NDArray[Any]

FORMULAS = {
    softmax.cross_entropy_index: "index",
    softmax.poly_index: "index",
    softmax.focal_index: "index",
    softmax.cross_entropy_dense: "dense",
    softmax.poly_dense: "dense",
    softmax.focal_dense: "focal",
    softmax.kl_divergence: "divergence",
    softmax.logsumexp: "logsumexp",
    softmax.entropy: "entropy",
}


class Numbers(NamedTuple):
    """The numeric options of a loss; these change nothing."""

    smoothing: float = 0.0
    z_loss: float = 0.0
    epsilon: float = 0.0  # of the poly loss
    gamma: float = -1.0  # of the focal loss, where it is not negative
    temperature: float = 1.0


class Call(NamedTuple):
    """The arguments of a call as the kernels want them; size 0 stands for None."""

    kind: str
    shape: tuple[int, ...]  # of the losses
    x: Rows
    labels: Array  # indices, int64
    t: Rows  # distributions, in the compute dtype
    class_weight: Array
    shares: Array
    mask: Array
    numbers: Numbers
    scale: Array


def prepare(engine: Engine, kind: str, request: Request, **more: Array) -> Call:
    """Lay out what a request gives, and ``more`` by its role."""
    given, options, shape = {**request.given, **more}, request.options, request.shape
    x, axis, real = request.arrays[0], options["axis"], np.dtype(options["dtype"])
    n = x.shape[axis]
    class_weight = given.get("class_weight")
    if class_weight is not None:
        class_weight = np.ascontiguousarray(np.broadcast_to(class_weight, n), real)
    mask = class_mask_of(given.get("class_mask"), x.shape, axis)
    smoothing = options.get("smoothing") or 0.0
    numbers = Numbers(
        float(smoothing),
        float(options.get("z_loss") or 0.0),
        float(options.get("epsilon", 0.0)),
        float(options.get("gamma", -1.0)),
        float(options.get("temperature") or 1.0),
    )
    labels, t, given_labels = ABSENT, np.empty((0, n), real), given.get("labels")
    if kind == "index":
        assert given_labels is not None
        labels = np.ascontiguousarray(given_labels.reshape(-1), np.int64)
    elif given_labels is not None:
        t = np.broadcast_to(np.asarray(given_labels, real), x.shape)
    return Call(
        kind,
        shape,
        rows_of(x, axis, engine.BY_STRIDES),
        labels,
        rows_of(t, axis if t.size else -1, engine.BY_STRIDES),
        np.empty(0, real) if class_weight is None else class_weight,
        _shares(smoothing, class_weight, mask, n, real),
        np.empty((1, 0), np.bool_) if mask is None else mask,
        numbers,
        _scale(given.get("sample_weight"), given.get("keep"), shape, axis),
    )


def class_mask_of(mask: Array | None, shape: tuple[int, ...], axis: int) -> Array | None:
    """Which classes are kept, of each row or of all."""
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
    """What smoothing gives each class: ``s w_c / C``, ``C`` counting the classes kept.

    Of shape (N, C), or 1 where it is the same for all.
    """
    if not smoothing:
        return np.empty((1, 0), real)
    if mask is None:
        shares = np.full((1, 1 if class_weight is None else n), smoothing / n)
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

    call: Call
    saved: Array
    early: Early | None


def losses(
    engine: Engine,
    request: Request,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, State | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    call = prepare(engine, FORMULAS[request.formula], request)
    rows = call.x
    out = empty((rows.length,), request.options["dtype"])
    saved = np.empty((rows.length if saving else 0, 4))
    flat, early = np.empty(0, rows.flat.dtype), None
    if saving and upstream is not None:
        flat = memory_for(rows, empty)
        finish = functools.partial(result_of, rows, flat)
        early = Early(flat, 0 if rows.strides else rows.length, upstream, [finish])
    engine.losses(call, float(upstream or 0.0), out, saved, flat)
    state = State(call, saved, early) if saving else None
    return out.reshape(call.shape), state


def gradient(engine: Engine, state: State, cotangent: Array, empty: Callable[..., Array]) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    call, rows = state.call, state.call.x
    found = state.early and state.early.take(engine, cotangent)
    if found is not None:
        return found
    scale = np.broadcast_to(np.asarray(cotangent, np.float64), call.shape).reshape(-1)
    scale = np.ascontiguousarray(scale * call.scale if call.scale.size else scale)
    if call.scale.size:
        scale = np.where(call.scale == 0, 0.0, scale)
    flat = memory_for(rows, empty)
    engine.gradients(call, scale, state.saved, flat)
    return result_of(rows, flat)
