"""A gradient that was computed with the value, for the cotangent that was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .engine import Engine

__all__ = ["Early"]

Array = npt.NDArray[Any]


class Early(NamedTuple):
    """A gradient, to be taken once.

    Parameters
    ----------
    flat : array
        Its memory.
    rows : int
        Its rows, which follow one another; 0 where they do not.
    upstream : float
        The cotangent that it was computed for.
    held : list of callable
        What returns the gradient once it is written, and nothing once it was taken.
    """

    flat: Array
    rows: int
    upstream: float
    held: list[Callable[[], Array]]

    def take(self, engine: Engine, cotangent: Array) -> Array | None:
        """The gradient for a cotangent of each row, or of all; None where it is to be computed.

        Multiplied by less than 1 it has all its digits, where it has them at all: half precision
        does not, and what was too small for a number is lost.
        """
        if not self.held:
            return None
        c = np.ascontiguousarray(cotangent).reshape(-1)
        factors = (c[:1] if engine.is_uniform(c) else c) / self.upstream
        if factors.size > 1 or factors[0] != 1:
            rows = self.rows if factors.size > 1 else self.flat.size
            if not rows or self.flat.dtype.kind != "f" or not np.all(np.abs(factors) <= 1):
                return None
            engine.multiply(self.flat, rows, factors)
        return self.held.pop()()
