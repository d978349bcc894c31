"""What a case is, and how its results are compared with the truth."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

import xentropy
from xentropy.parity import oracle
from xentropy.testing import Harness

__all__ = [
    "BOTH",
    "HALF",
    "Array",
    "Case",
    "compute_dtype",
    "narrow",
    "need_dtype",
    "own_gradient",
    "rng",
    "single",
]

Array: TypeAlias = npt.NDArray[Any]

BOTH = ("float32", "float64")
HALF = ("float16", "bfloat16")


def rng(name: str) -> np.random.Generator:
    """Return the random numbers of a name, the same in every process."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def compute_dtype(dtype: str) -> str:
    """Return the dtype that predictions of `dtype` are computed in."""
    return "float64" if dtype == "float64" else "float32"


def single(values: Any) -> Array:
    """Return float32."""
    return np.asarray(values, dtype=np.float32)


def narrow(array: Array, dtype: str) -> Array:
    """Return a floating array in `dtype`, which may be bfloat16; others as they are."""
    if array.dtype.kind != "f":
        return array
    return array.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)


@dataclass(frozen=True, eq=False)
class Case:
    """One call of a loss.

    Attributes
    ----------
    name
        Of the case, for its id and its random numbers.
    loss
        The public name.
    arrays
        By argument name, predictions first, then labels, float64 where floating.
    options
        The arguments that are not arrays.
    wrt
        Names of arguments to differentiate by.
    dtypes
        Of the predictions; other floating arguments are in the compute dtype.
    compiled
        Whether the case is run in every mode: a compilation costs seconds.
    """

    name: str
    loss: str
    arrays: Mapping[str, Array]
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = BOTH
    compiled: bool = False

    def __repr__(self) -> str:
        return self.name

    @property
    def first(self) -> str:
        """Name of the predictions."""
        return next(iter(self.arrays))

    def inputs(self, dtype: str) -> dict[str, Array]:
        """Return the arrays as they are passed."""
        wide = compute_dtype(dtype)
        return {
            name: narrow(array, dtype if name == self.first else wide)
            for name, array in self.arrays.items()
        }

    def give(self, harness: Harness, dtype: str) -> dict[str, Any]:
        """Return the arrays as those of a framework."""
        return {name: harness.array(array) for name, array in self.inputs(dtype).items()}

    def function(self, **more: Any) -> Callable[..., Any]:
        """Return the loss as a function of nothing but the arrays, in order."""
        loss, names = getattr(xentropy, self.loss), tuple(self.arrays)

        def call(*arrays: Any) -> Any:
            given = dict(zip(names, arrays, strict=True))
            return loss(**given, **self.options, **more)

        return call

    def value_and_grads(self, harness: Harness, dtype: str, **more: Any) -> tuple[Any, Any]:
        """Return the loss and its gradients by argument name."""
        loss = getattr(xentropy, self.loss)
        given = self.give(harness, dtype)
        grad = xentropy.value_and_grad(loss, self.wrt)
        value, grads = grad(**given, **self.options, **more)
        return value, dict(zip(self.wrt, grads, strict=True))

    def truth(self, dtype: str, **replaced: Any) -> oracle.Truth:
        """Return the true losses and gradients, some arguments replaced."""
        first, *others = {**self.inputs(dtype), **replaced}.values()
        names = tuple(self.arrays)[1:]
        given: dict[str, Any] = dict(zip(names, others, strict=True))
        labels = next((given.pop(k) for k in ("labels", "targets") if k in given), None)
        options = {**given, **self.options}
        return oracle.evaluate(self.loss, first, labels, dtype=dtype, wrt=self.wrt, **options)


def need_dtype(harness: Harness, dtype: str) -> None:
    """Skip where the framework has no such floating dtype: the standard has no 16-bit ones."""
    try:
        harness.array(narrow(np.zeros(1), dtype))
    except TypeError as error:
        pytest.skip(f"{harness} has no {dtype}: {error}")


def own_gradient(
    harness: Harness, f: Callable[..., Any], arrays: Mapping[str, Any], wrt: tuple[str, ...]
) -> dict[str, Array]:
    """Return the framework's own gradient of the sum of `f`; nothing where it has none."""
    backend = xentropy.backend_of(next(iter(arrays.values())))
    if not backend.autodiff:
        return {}

    def total(*xs: Any) -> Any:
        y = f(*xs)
        return backend.xp.sum(y, axis=None, keepdims=False) if y.ndim else y

    argnums = tuple(list(arrays).index(name) for name in wrt)
    grads = harness.gradient(total, tuple(arrays.values()), argnums)
    return {name: harness.numpy(g) for name, g in zip(wrt, grads, strict=True)}
