"""The arguments of a call: arrays that broadcast as those of jax.numpy, axes, masks, dtypes."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.dialects._speech import spoken
from xentropy.dispatch import is_weak, message
from xentropy.errors import DTypeError, OptionError, ShapeError

__all__ = ["Given", "array_or_none", "classes", "merged", "optax_spoken", "ranked", "spread"]

# jax.numpy refuses shapes that do not broadcast with a TypeError, and masks that are not bool with
# a ValueError.
optax_spoken = functools.partial(
    spoken, {ShapeError: TypeError, OptionError: TypeError, DTypeError: ValueError}
)


class Given:
    """The arguments of one call as arrays of its family.

    Parameters
    ----------
    function
        Its name, for messages.
    *floating
        Which must be floating, as the first must always.
    **arrays
        What was given, the predictions first.
    """

    def __init__(self, function: str, /, *floating: str, **arrays: Any) -> None:
        self.call = Call(function, **arrays)
        self.xp = self.call.backend.xp
        self.arrays = {name: self._array(name) for name in arrays}
        for name in (self.call.first, *floating, *(n for n in ("labels",) if n in arrays)):
            if arrays[name] is None:
                self.call.fail(DTypeError, f"`{name}` must be given.", name)
        for name in (self.call.first, *floating):
            if self.call.kind(self.arrays[name]) != "float":
                self.call.fail(DTypeError, f"`{name}` must be real floating.", name)
        where = self.arrays.get("where")
        if where is not None and self.call.kind(where) != "bool":
            self.call.fail(DTypeError, "`where` must be bool; True keeps.", "where")

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def _array(self, name: str) -> Any:
        x = self.call.given[name]
        if x is None:
            return None
        if isinstance(x, (list, tuple)):
            hint = "make an array of it."
            self.call.fail(DTypeError, f"`{name}` must be an array or a number.", name, hint=hint)
        if not is_weak(x) or self.call.backend.owns(x):
            return x
        return self.call.adopt(np.asarray(x, self._dtype_of_number() if _is_float(x) else None))

    def _dtype_of_number(self) -> str:
        first = self.call.given[self.call.first]
        if _is_float(first):
            return self.call.backend.default_float()
        return "float64" if self.call.backend.dtype_name(first) == "float64" else "float32"

    def dtype(self, *names: str) -> Any:
        """The dtype of the result of these: numbers of Python have none, nor have integers."""
        backend, found = self.call.backend, {}
        for name in names:
            x = self.arrays[name]
            weak = _is_float(self.call.given[name]) and name != self.call.first
            if x is not None and not weak and self.call.kind(x) == "float":
                found[backend.dtype_name(x)] = x.dtype
        if len(found) == 1:
            return next(iter(found.values()))
        return self.xp.float64 if "float64" in found else self.xp.float32

    def name_of(self, dtype: Any) -> str:
        """The dtype in which a formula computes what is returned in another one."""
        return "float64" if dtype == self.xp.float64 else "float32"

    def widened(self, x: Any, dtype: Any) -> Any:
        """``x`` in float64 where the result is."""
        return steps.cast(x, dtype) if dtype == self.xp.float64 else x

    def full(self, **arrays: Any) -> Any:
        """An array of the shape to which these broadcast; one of them where it has that shape."""
        shown = {name: x for name, x in arrays.items() if x is not None}
        try:
            shape = steps.common_shape([tuple(x.shape) for x in shown.values()])
        except ValueError:
            names = " and ".join(f"`{name}`" for name in shown)
            self.call.fail(ShapeError, f"{names} must broadcast to one shape.", *shown)
        found = next((x for x in shown.values() if tuple(x.shape) == shape), None)
        if found is not None:
            return found
        xp = self.xp
        ones = (xp.ones_like(xp.astype(x, xp.float32)) for x in shown.values())
        return functools.reduce(operator.mul, [ranked(x, len(shape)) for x in ones])

    def check_sign(self, name: str, value: Any, strictly: bool = False) -> None:
        """Refuse a parameter below 0, where its values can be read."""
        host = self.call.backend.concrete(self.xp.stop_gradient(value))
        if host is not None and not ((host > 0) if strictly else (host >= 0)).all():
            rule = f"`{name}` must be {'above 0' if strictly else 'at least 0'}."
            raise OptionError(message(self.call.name, rule, {name: value}))


def array_or_none(value: Any) -> Any:
    """A parameter that is an array; None where it is a number."""
    return value if hasattr(value, "shape") and not isinstance(value, np.generic) else None


def ranked(x: Any, rank: int) -> Any:
    """``x`` with axes of length 1 in front."""
    shape = tuple(x.shape)
    return steps.reshape(x, (1,) * (rank - len(shape)) + shape) if len(shape) < rank else x


def spread(x: Any, like: Any) -> Any:
    """``x`` in the shape of another array, to which it broadcasts."""
    return steps.broadcast(ranked(x, like.ndim), like)


def classes(given: Given, axis: Any, rank: int) -> tuple[int, ...]:
    """The class axes, counted from the end."""
    axes = tuple(range(rank)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    rule = f"`axis` must hold ints in [{-rank}, {rank}), each once."
    try:
        whole = [operator.index(a) for a in axes]
    except TypeError:
        whole = [rank]
    if not all(-rank <= a < rank for a in whole) or len({a % rank for a in whole}) < len(whole):
        raise OptionError(message(given.call.name, rule, {"axis": axis}))
    return tuple(a % rank - rank for a in whole)


def merged(x: Any, axes: tuple[int, ...]) -> Any:
    """``x`` with several axes as one, the last."""
    shape = tuple(x.shape)
    inner = tuple(a % len(shape) for a in axes)
    outer = tuple(a for a in range(len(shape)) if a not in inner)
    moved = steps.permute(x, outer + inner)
    batch = tuple(-1 if shape[a] is None else shape[a] for a in outer)
    lengths = [shape[a] for a in inner]
    return steps.reshape(moved, (*batch, -1 if None in lengths else math.prod(lengths)))


def _is_float(x: Any) -> bool:
    return isinstance(x, float) and not isinstance(x, np.generic)
