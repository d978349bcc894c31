"""Calls of the formulas on blocks of an array, in threads, for where no kernel is compiled.

What a formula computes on its way to a loss stays in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy._types import Arrays
from xentropy.formulas.formula import value, vjp

from .engine import Engine
from .memory import named, narrowed, plain, widened
from .request import Request
from .threads import run

__all__ = ["Index", "for_blocks", "gradient", "losses"]

Array = npt.NDArray[Any]
Index = tuple[slice, ...]

BLOCK = 2**17
"""Numbers of a block: in less, calls and the interpreter lock cost more than the cache saves."""


def losses(
    engine: Engine,
    request: Request,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, Request | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    formula, _, options = request
    out = empty(request.shape, options["dtype"])

    def evaluate(xp: Any, index: Index) -> None:
        part = _parts(request, index)
        out[_of_losses(request, index)] = value(xp, formula, part, options)

    _for_all_blocks(request, evaluate)
    return out, request if saving else None


def gradient(
    engine: Engine, state: Request, cotangent: Array, empty: Callable[..., Array]
) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    formula, arrays, options = state
    x = arrays[0]
    flat = empty((x.size,), plain(x.reshape(-1)[:0]).dtype)
    out, wrt = flat.reshape(x.shape), (True, *(False for _ in arrays[1:]))
    cotangent = np.broadcast_to(cotangent, state.shape)

    def differentiate(xp: Any, index: Index) -> None:
        each = cotangent[_of_losses(state, index)]
        found = vjp(xp, formula, _parts(state, index), options, wrt, each)[0]
        out[index] = narrowed(found, out.dtype)

    _for_all_blocks(state, differentiate)
    return named(flat, x.dtype).reshape(x.shape)


def _row_axis(call: Request) -> int | None:
    """The axis of the losses of rows; None where each element has its own."""
    return call.options["axis"] if call.formula.reduces == "axis" else None


def _for_all_blocks(call: Request, work: Callable[[Any, Index], None]) -> None:
    for_blocks(call.arrays[0].shape, call.options.get("axis"), work)


def for_blocks(
    shape: tuple[int, ...], axis: int | None, work: Callable[[Any, Index], None]
) -> None:
    """Call ``work(xp, index)`` for blocks of an array: of whole rows along an axis."""
    # Not on import: adapters import these modules.
    from xentropy.dispatch import backend_of

    xp, blocks = backend_of(np.empty(0)).xp, list(_blocks(shape, axis))

    def some(start: int, stop: int) -> int:
        with np.errstate(all="ignore"):
            for index in blocks[start:stop]:
                work(xp, index)
        return 0

    run(some, (), len(blocks), math.prod(shape))


def _blocks(shape: tuple[int, ...], axis: int | None) -> Iterator[Index]:
    """Blocks of whole rows, or of elements."""
    whole = None if axis is None else axis % len(shape)
    index = [slice(None)] * len(shape)

    def split(axes: list[int], numbers: int) -> Iterator[Index]:
        if not axes or numbers <= BLOCK:
            yield tuple(index)
            return
        i, each = axes[0], numbers // shape[axes[0]]
        step = max(BLOCK // each, 1)
        for start in range(0, shape[i], step):
            index[i] = slice(start, min(start + step, shape[i]))
            yield from split(axes[1:], each * step)
        index[i] = slice(None)

    return split([i for i in range(len(shape)) if i != whole], math.prod(shape))


def _of_losses(call: Request, index: Index) -> Index:
    """The losses of a block."""
    axis = _row_axis(call)
    if axis is None or call.options.get("keepdims"):
        return index
    axis %= len(index)
    return index[:axis] + index[axis + 1 :]


def _parts(call: Request, index: Index) -> Arrays:
    """What the arguments hold for a block."""
    found: list[Any] = []
    for i, (x, role) in enumerate(zip(call.arrays, call.formula.roles.values(), strict=True)):
        if x is None:
            found.append(None)
            continue
        own = index
        if role == "classes":
            own = (index[call.options.get("axis", -1)] if index else slice(None),)
        elif role == "examples" and x.ndim < len(index):
            own = _of_losses(call, index)
        own = own[len(own) - x.ndim :]
        part = x[tuple(s if n > 1 else slice(None) for s, n in zip(own, x.shape, strict=True))]
        found.append(widened(part) if i == 0 else part)
    return tuple(found)
