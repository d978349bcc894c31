"""An array library that nobody has heard of: the least that an array is, around a NumPy array."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Array", "lift", "unwrap"]


def unwrap(x: Any) -> Any:
    """Return the NumPy array inside, or what is no array; those of other libraries are refused."""
    if isinstance(x, np.ndarray):
        msg = "tiny knows no arrays but its own"
        raise TypeError(msg)
    return x.values if isinstance(x, Array) else x


def lift(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of NumPy arrays one of this library's arrays."""

    def lifted(*args: Any, **kwargs: Any) -> Array:
        return Array(function(*map(unwrap, args), **kwargs))

    return lifted


class Array:
    """Values, and arithmetic on them."""

    __array_ufunc__ = None  # `NumPy array + Array` is for the class to refuse, not for NumPy

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    @property
    def ndim(self) -> int:
        return self.values.ndim

    @property
    def dtype(self) -> Any:
        return self.values.dtype


for _name in ("add", "sub", "mul", "truediv", "and", "or", "eq", "ne", "lt", "le", "gt", "ge"):
    setattr(Array, f"__{_name}__", lift(getattr(operator, f"__{_name}__")))
for _name in ("add", "sub", "mul", "truediv", "and", "or"):
    _function = getattr(operator, f"__{_name}__")
    setattr(Array, f"__r{_name}__", lift(lambda x, y, f=_function: f(y, x)))
for _name in ("neg", "invert", "getitem"):
    setattr(Array, f"__{_name}__", lift(getattr(operator, f"__{_name}__")))
