"""Calls of the kernels for losses of elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xentropy.formulas import sigmoid

from .early import Early
from .engine import Engine
from .memory import named, plain
from .request import Request

__all__ = ["FORMULAS", "Elements", "State", "gradient", "losses"]

Array = npt.NDArray[Any]

FORMULAS = {sigmoid.cross_entropy: "sigmoid", sigmoid.focal: "sigmoid"}
_PERIOD = 4096
"""What repeats after few elements is laid out as about this many."""


class Elements(NamedTuple):
    """The arguments of a call as the kernels want them; size 0 stands for None."""

    x: Array  # logits, shape (n,), half precision as its bits
    labels: Array  # in the compute dtype, (n,) or (k,), where they repeat
    positive: Array  # the weights of the positive term, shape (k,); they repeat
    gamma: float  # of the focal loss, which balances by these weights; else negative
    scale: Array  # of the elements, in the compute dtype; 0 leaves one out
    smoothing: float


class State(NamedTuple):
    """What a gradient needs of the call of its losses."""

    shape: tuple[int, ...]
    dtype: Any  # of the logits as they came
    call: Elements
    early: Early | None


def losses(
    engine: Engine,
    request: Request,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, State | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    given, options = request.given, request.options
    x, real = request.arrays[0], np.dtype(options["dtype"])
    bits = plain(x.reshape(-1))
    call = Elements(
        bits,
        _repeated(np.asarray(given["labels"], real), x.shape),
        _classes(given.get("pos_weight", given.get("alpha")), x.shape, real),
        float(options.get("gamma", -1.0)),
        _scale(given["sample_weight"], given["keep"], x.shape, real),
        float(options["smoothing"] or 0.0),
    )
    early, result = None, np.empty(0, bits.dtype)
    if saving and upstream is not None:
        result = empty(bits.shape, bits.dtype)
        early = Early(
            result, bits.size, upstream, [lambda: named(result, x.dtype).reshape(x.shape)]
        )
    out = empty(bits.shape, real)
    engine.sigmoid_losses(call, float(upstream or 0.0), out, result)
    state = State(x.shape, x.dtype, call, early)
    return out.reshape(x.shape), state if saving else None


def gradient(engine: Engine, state: State, cotangent: Array, empty: Callable[..., Array]) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    x = state.call.x
    cotangent = np.asarray(cotangent, state.call.labels.dtype)
    if not any(cotangent.strides):  # one number, laid out as many
        cotangent = cotangent.reshape(-1)[:1] if cotangent.ndim else cotangent.reshape(1)
    found = state.early and state.early.take(engine, cotangent)
    if found is not None:
        return found
    out, cotangent = empty(x.shape, x.dtype), np.ascontiguousarray(cotangent).reshape(-1)
    engine.sigmoid_gradients(state.call, cotangent, out)
    return named(out, state.dtype).reshape(state.shape)


def _classes(weight: Array | None, shape: tuple[int, ...], real: Any) -> Array:
    """The weights of the positive term."""
    if weight is None:
        return np.empty(0, real)
    n = shape[-1] if shape else 1
    return _period(np.broadcast_to(np.asarray(weight, real), (n,)))


def _repeated(labels: Array, shape: tuple[int, ...]) -> Array:
    """The labels in one dimension: as many as elements, or, where they repeat, those of a part."""
    if labels.shape == shape:
        return plain(labels).reshape(-1)
    first = next((i for i, n in enumerate(labels.shape) if n > 1), labels.ndim)
    last = labels.reshape(labels.shape[first:])
    part = shape[len(shape) - last.ndim :]
    return _period(np.broadcast_to(last, part).reshape(-1))


def _period(x: Array) -> Array:
    """So many times that blocks of it are long."""
    return np.tile(x, -(-_PERIOD // x.size))


def _scale(
    sample_weight: Array | None, keep: Array | None, shape: tuple[int, ...], real: Any
) -> Array:
    """The weight of each element; 0 leaves it out."""
    if sample_weight is None and keep is None:
        return np.empty(0, real)
    scale = np.ones(shape, real) if sample_weight is None else np.asarray(sample_weight, real)
    scale = scale if keep is None else np.where(keep, scale, real.type(0))
    return plain(np.broadcast_to(scale, shape).reshape(-1))
