"""Which kernel serves a formula, and the call of it.

The compiled kernels need Numba; without it those of NumPy serve the losses of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy.typing as npt

from xentropy._types import Arrays, Options
from xentropy.formulas.formula import Formula

from . import by_element, by_row, pool
from .engine import engine, has_numba

__all__ = ["State", "gradient", "losses", "names", "serves", "total"]

Array = npt.NDArray[Any]

_FLOATS = ("float16", "bfloat16", "float32", "float64")


class State(NamedTuple):
    """What a gradient needs of the call of its losses."""

    kind: Any
    inner: Any


def names() -> list[str]:
    """What computes, for ``xentropy backends``."""
    return ["numba" if has_numba() else "numpy", "formulas"]


def serves(formula: Formula, arrays: Arrays, dtype: str) -> bool:
    """Whether a kernel evaluates this formula on these arrays, the first of them of that dtype."""
    by_rows = by_row.FORMULAS.get(formula)
    if by_rows is None and not (formula in by_element.FORMULAS and has_numba()):
        return False
    if dtype not in _FLOATS or 0 in arrays[0].shape:
        return False
    # One label for many elements is left to the formula.
    return by_rows is not None or tuple(arrays[1].shape) == tuple(arrays[0].shape)


def losses(
    formula: Formula,
    arrays: Arrays,
    options: Options,
    *,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array] = pool.empty,
) -> tuple[Array, State | None]:
    """Evaluate the formula; with ``saving`` also return what `gradient` needs.

    With ``upstream``, the cotangent that is expected, the gradient is computed in the same pass.
    ``empty`` allocates what is returned.
    """
    kind: Any = by_row if formula in by_row.FORMULAS else by_element
    found, state = kind.losses(engine(), formula, arrays, options, saving, upstream, empty)
    return found, State(kind, state) if saving else None


def gradient(state: State, cotangent: Array, empty: Callable[..., Array] = pool.empty) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    found: Array = state.kind.gradient(engine(), state.inner, cotangent, empty)
    return found


def total(x: Array) -> float:
    """The sum of float32 numbers, in float64."""
    return engine().total(x)
