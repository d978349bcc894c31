"""Which kernel serves a formula, and the call of it.

The compiled kernels need Numba; without it those of NumPy serve the cross-entropies of rows, and
the formulas themselves, block by block, all others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy.typing as npt

from xentropy._types import Arrays, Options
from xentropy.formulas import statistics as statistics_of
from xentropy.formulas.formula import Formula

from . import by_block, by_class, by_element, by_row, by_statistic, pool
from .engine import engine, has_numba
from .request import Request

__all__ = ["State", "gradient", "losses", "names", "serves", "statistics", "total"]

Array = npt.NDArray[Any]

_FLOATS = ("float16", "bfloat16", "float32", "float64")


class State(NamedTuple):
    """What a gradient needs of the call of its losses."""

    module: Any
    inner: Any


def names() -> list[str]:
    """What computes, for ``xentropy backends``."""
    return ["numba" if has_numba() else "numpy", "formulas"]


_KINDS: dict[Formula, tuple[Any, str]] = {
    formula: (module, kind)
    for module in (by_row, by_class, by_element)
    for formula, kind in module.FORMULAS.items()
}


def serves(formula: Formula, arrays: Arrays, dtype: str) -> bool:
    """Whether a kernel evaluates this formula on these arrays, the first of them of that dtype."""
    return formula in _KINDS and dtype in _FLOATS and 0 not in arrays[0].shape


def _module_of(formula: Formula) -> Any:
    """The module that calls what there is for a formula."""
    module, kind = _KINDS[formula]
    return module if kind in engine().KINDS else by_block


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
    module = _module_of(formula)
    request = Request(formula, arrays, options)
    found, state = module.losses(engine(), request, saving, upstream, empty)
    return found, State(module, state) if saving else None


def gradient(state: State, cotangent: Array, empty: Callable[..., Array] = pool.empty) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    found: Array = state.module.gradient(engine(), state.inner, cotangent, empty)
    return found


def statistics(
    request: statistics_of.Request, empty: Callable[..., Array] = pool.empty
) -> dict[str, Array]:
    """Statistics of rows by name; the rank stands for ``correct``, too."""
    return by_statistic.statistics(engine(), request, empty)


def total(x: Array) -> float:
    """The sum of float32 numbers, in float64."""
    return engine().total(x)
