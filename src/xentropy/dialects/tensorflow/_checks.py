"""What TensorFlow asks of the arguments of its losses, and we do not."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._labels import same
from xentropy.dialects._speech import spoken
from xentropy.dispatch import backend_of
from xentropy.errors import DTypeError, ShapeError

__all__ = ["in_dtype", "index_dtype", "same_dtype", "same_shape", "shape_of", "spoken_here"]

# Of most dtypes TensorFlow raises its InvalidArgumentError, to which ValueError is nearest.
spoken_here = functools.partial(spoken, {DTypeError: ValueError})


def shape_of(call: Call, name: str) -> tuple[Any, ...]:
    """The shape of an argument, also of a number or a list."""
    x = call.given[name]
    if x is None:
        call.fail(DTypeError, f"`{name}` must be given.", name)
    return tuple(x.shape if hasattr(x, "shape") else np.shape(x))


def same_shape(call: Call, name: str) -> None:
    """An argument must have the shape of the predictions."""
    ours, full = shape_of(call, name), shape_of(call, call.first)
    if len(ours) != len(full) or not all(map(same, ours, full)):
        call.fail(ShapeError, f"`{name}` must have the shape of `{call.first}`.", call.first, name)


def same_dtype(call: Call, name: str) -> None:
    """An argument must have the dtype of the predictions, unless it adopts it."""
    x, first = call.given[name], call.given[call.first]
    if not call.backend.owns(x) or not call.backend.owns(first):
        return
    if call.backend.dtype_name(x) != call.backend.dtype_name(first):
        call.fail(DTypeError, f"`{name}` must have the dtype of `{call.first}`.", call.first, name)


def index_dtype(call: Call, name: str) -> None:
    """Indices must be int32 or int64, unless they are a list."""
    x = call.given[name]
    if hasattr(x, "dtype") and backend_of(x).dtype_name(x) not in ("int32", "int64"):
        call.fail(DTypeError, f"`{name}` must be int32 or int64.", name)


def in_dtype(losses: Any, call: Call) -> Any:
    """The losses in the dtype of the predictions."""
    return steps.cast(losses, getattr(call.given[call.first], "dtype", losses.dtype))
