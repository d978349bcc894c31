"""What evaluates losses on plain memory: the compiled kernels, or those of NumPy."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy.typing as npt

if TYPE_CHECKING:
    from .by_element import Elements
    from .by_row import Call
    from .memory import Rows

__all__ = ["Engine", "Found", "engine", "has_numba"]

Array = npt.NDArray[Any]
Found = tuple[Array, Array | None] | None


class Engine(Protocol):
    """What the modules of kernels, `compiled` and `blocked`, have in common.

    Arrays that are to be written may have size 0: then they are not wanted.
    """

    KINDS: frozenset[str]
    """What it computes, as the modules of calls name it."""
    BY_STRIDES: bool
    """Whether rows are read where they lie; else those that lie apart are copied first."""

    def losses(self, call: Call, upstream: float, losses: Array, saved: Array, out: Array) -> None:
        """Write the losses of rows, what `gradients` needs, and the gradient.

        Parameters
        ----------
        call : Call
            The arguments.
        upstream : float
            The cotangent of all losses, for ``out``.
        losses : array, shape (N,)
            To be written, in the compute dtype.
        saved : array, float64, shape (N, 4)
            To be written.
        out : array
            To be written: the gradient in the dtype of the logits, rows that follow one another,
            or, where the classes lie apart, in their places.
        """

    def gradients(self, call: Call, cotangent: Array, saved: Array, out: Array) -> None:
        """Write the gradients of rows, each times its ``cotangent``, float64, shape (N,)."""

    def sums(self, call: Call, out: Array) -> None:
        """Write ``top``, ``rest``, ``spread`` and ``mass`` of `Sums`, as the rows of ``out``.

        Of nothing but -inf only ``top`` and ``mass`` mean anything.
        """

    def log_softmax(self, call: Call, out: Array) -> None:
        """Write log-probabilities, rows that follow one another, in the compute dtype."""

    def log_softmax_gradient(self, call: Call, out: Array) -> None:
        """Write their gradients; the labels of ``call`` are their cotangents."""

    def lend(self, x: Array) -> Any:
        """What `plain_losses` knows a contiguous array by; the array must live as long."""

    def plain_losses(
        self,
        x: Any,
        labels: Any,
        count: int,
        n: int,
        dtype: Any,
        divisor: int | None,
        upstream: float | None,
        empty: Callable[..., Array],
    ) -> Found:
        """Losses of index labels without options, and their gradient; None if a label is wrong.

        Parameters
        ----------
        x, labels : int or array
            The logits, rows that follow one another, and int64 labels, as `lend` tells them.
        count, n : int
            Rows and classes.
        dtype : dtype
            Of the logits, half precision as its bits.
        divisor : int or None
            Of the sum of the losses; None for the losses.
        upstream : float or None
            The cotangent of each loss; None where no gradient is wanted.
        empty : callable
            Allocates what is returned.
        """

    def sigmoid_losses(self, call: Elements, upstream: float, losses: Array, out: Array) -> None:
        """Write the losses of elements, and their gradient for the cotangent ``upstream``.

        Where it is among its kinds, as all but ``index`` and ``dense``.
        """

    def sigmoid_gradients(self, call: Elements, cotangent: Array, out: Array) -> None:
        """Write the gradients of elements; ``cotangent`` has one number or as many."""

    def statistics(
        self, x: Rows, arrays: dict[str, Array], scale: float, k: int, found: dict[str, Array]
    ) -> None:
        """Write statistics of rows that follow one another.

        Where it is among its kinds.

        Parameters
        ----------
        x : Rows
            The logits.
        arrays : dict
            ``labels``, int64, ``class_mask`` and ``keep``, bool; of size 0 where not given.
        scale, k : float, int
            What multiplies the logits, and how many of the largest are wanted.
        found : dict
            What is wanted, by name: to be written.
        """

    def total(self, x: Array) -> float:
        """The sum of float32 numbers, in float64."""
        ...

    def is_uniform(self, x: Array) -> bool:
        """Whether all numbers are the same."""
        ...

    def multiply(self, x: Array, count: int, factors: Array) -> None:
        """Multiply so many rows by a factor each, or all by the only one; 0 makes a row 0."""


@functools.cache
def has_numba() -> bool:
    """Whether the compiled kernels run."""
    try:
        importlib.import_module("numba")
    except ImportError:
        return False
    return True


@functools.cache
def engine() -> Engine:
    """The module of kernels, compiled where Numba is installed."""
    name = "compiled" if has_numba() else "blocked"
    return cast("Engine", importlib.import_module(f"xentropy.kernels.{name}"))
