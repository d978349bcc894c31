"""Random arguments of the losses, as NumPy arrays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .case import LINEAR, Run

__all__ = ["KINDS", "Inputs", "make"]

Array: TypeAlias = npt.NDArray[Any]

KINDS = {
    "cross_entropy": "logits, index",
    LINEAR: "features, weight, index",
    "softmax_cross_entropy": "logits, distribution",
    "sparse_softmax_cross_entropy": "logits, index",
    "sigmoid_cross_entropy": "logits, binary",
    "binary_cross_entropy": "probs, binary",
    "categorical_cross_entropy": "distribution, distribution",
    "sparse_categorical_cross_entropy": "distribution, index",
    "sigmoid_focal_cross_entropy": "logits, binary",
    "softmax_focal_cross_entropy": "logits, index",
    "poly_cross_entropy": "logits, index",
    "kl_divergence": "logits, distribution",
    "squared_error": "logits, logits",
    "absolute_error": "logits, logits",
    "log_cosh": "logits, logits",
    "huber": "logits, logits",
    "smooth_l1": "logits, logits",
    "logsumexp": "logits",
    "log_softmax": "logits",
}
"""The losses that can be timed, and what their predictions and their labels are."""

_SEED = 2
# Numbers drawn; a larger array repeats them, shifted, since drawing 10**9 takes half a minute.
_DRAWN = 2**24
_IGNORED = 100
"""One label in so many is the ignored one."""
_INITIAL = 0.02
"""The standard deviation of weights."""


class Inputs(NamedTuple):
    """The arguments of a run: predictions first; options that are arrays are arrays."""

    arrays: tuple[Array, ...]
    options: dict[str, Any]


def make(run: Run, predictions: Array | None = None) -> Inputs:
    """Return the arguments of a run, the same each time; floats are float32 or float64.

    Gigabytes of predictions may be those of another run, in another shape.
    """
    rng = np.random.default_rng(_SEED)
    first, *rest = KINDS[run.loss].split(", ")
    if predictions is None:
        predictions = _array(first, run, rng)
    arrays = (
        predictions.reshape(_shape(first, run)),
        *(_array(kind, run, rng) for kind in rest),
    )
    options = dict(run.options)
    if options.get("class_weight") == "random":
        options["class_weight"] = rng.uniform(0.5, 2, run.shape[-1]).astype(_wide(run))
    if "ignore_index" in options:
        arrays[1][::_IGNORED] = options["ignore_index"]
    return Inputs(arrays, options)


def _wide(run: Run) -> type[np.floating[Any]]:
    return np.float64 if run.dtype == "float64" else np.float32


def _shape(kind: str, run: Run) -> tuple[int, ...]:
    if kind == "features":
        return run.shape[:-1]
    return run.shape[:0:-1] if kind == "weight" else run.shape


def _array(kind: str, run: Run, rng: np.random.Generator) -> Array:
    if kind == "index":
        return rng.integers(
            0, run.shape[-1], run.shape[:1] if run.loss == LINEAR else run.shape[:-1]
        )
    shape = _shape(kind, run)
    drawn: Array = rng.standard_normal(min(math.prod(shape), _DRAWN), np.float32)
    if kind == "weight":
        drawn *= _INITIAL
    if kind in ("binary", "probs", "distribution"):
        drawn = np.clip(rng.random(drawn.size, np.float32), 2.0**-20, 1 - 2.0**-20)
    if kind == "binary":
        drawn = np.round(drawn)
    array = _filled(drawn, shape, _wide(run))
    if kind == "distribution":
        array /= array.sum(axis=-1, keepdims=True)
    return array


def _filled(drawn: Array, shape: tuple[int, ...], dtype: type[np.floating[Any]]) -> Array:
    if drawn.size == math.prod(shape):
        return drawn.astype(dtype, copy=False).reshape(shape)
    array = np.empty(math.prod(shape), dtype)
    for start in range(0, array.size, drawn.size):
        part = array[start : start + drawn.size]
        part[:] = drawn[: part.size]
        drawn = np.roll(drawn, 1)
    return array.reshape(shape)
