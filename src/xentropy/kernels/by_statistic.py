"""Calls of the kernel for statistics of rows, and of the formulas where none is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas.formula import value
from xentropy.formulas.statistics import Request, evaluate

from .by_block import Index, for_blocks
from .by_row import class_mask_of
from .engine import Engine
from .memory import ABSENT, rows_of, widened

__all__ = ["statistics"]

Array = npt.NDArray[Any]

MOST = 128
"""Of more the largest are not kept in order row by row, but found by NumPy."""


def statistics(engine: Engine, request: Request, empty: Callable[..., Array]) -> dict[str, Array]:
    """Evaluate what is asked for, by name."""
    x, axis, names = request.x, request.axis % request.x.ndim, {*request.outputs}
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    if "correct" in names:
        names = (names - {"correct"}) | {"rank"}
    found: dict[str, Array] = {}
    for name in names:
        dtype = np.int64 if name in ("rank", "top_k") else request.dtype
        found[name] = empty((*shape, request.k) if name == "top_k" else shape, dtype)
    rest = found
    if "statistics" in engine.KINDS:
        rest = {name: found[name] for name in names if name == "top_k" and request.k > MOST}
        _by_kernel(engine, request, {k: out for k, out in found.items() if k not in rest})
    if rest:
        _by_block(request._replace(outputs=tuple(rest)), axis, rest)
    return found


def _by_kernel(engine: Engine, request: Request, found: dict[str, Array]) -> None:
    x, axis = request.x, request.axis
    mask = class_mask_of(request.class_mask, x.shape, axis)
    arrays = {
        "labels": _in_order(request.labels, np.int64),
        "class_mask": np.empty((0, 0), np.bool_) if mask is None else mask,
        "keep": _in_order(request.keep, np.bool_),
    }
    scale = 1.0 if request.scale is None else float(request.scale)
    if found:
        engine.statistics(rows_of(x, axis, False), arrays, scale, request.k, found)


def _in_order(x: Array | None, dtype: Any) -> Array:
    return ABSENT if x is None else np.ascontiguousarray(x.reshape(-1), dtype)


def _by_block(request: Request, axis: int, found: dict[str, Array]) -> None:
    def work(xp: Any, index: Index) -> None:
        def part(x: Array) -> Array:
            own = index if x.ndim else ()
            return x[tuple(s if n > 1 else slice(None) for s, n in zip(own, x.shape, strict=True))]

        block = request.mapped(part)
        block = block._replace(x=widened(block.x))
        values = evaluate(lambda *call: value(xp, *call), xp, block)
        for out, each in zip(found.values(), values, strict=True):
            out[index[:axis] + index[axis + 1 :]] = each

    for_blocks(request.x.shape, request.axis, work)
