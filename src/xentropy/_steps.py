"""Steps before and after a loss, which a gradient passes everywhere.

Where arrays have no derivatives of their own, the tape of `xentropy.value_and_grad` must see each.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from xentropy._tape import record
from xentropy.dispatch import backend_of
from xentropy.formulas import reduction, steps
from xentropy.formulas.formula import unbroadcast

if TYPE_CHECKING:
    from xentropy.reduction import Mean

__all__ = [
    "at",
    "broadcast",
    "cast",
    "choose",
    "common_shape",
    "dot",
    "expand",
    "mean",
    "mean_or_zero",
    "multiply",
    "permute",
    "quotient",
    "reshape",
    "row_sum",
    "squeeze",
    "total",
]


_MOST = 2**22
"""Comparisons at a time."""


def _linear(x: Any, output: Any, pull: Callable[[Any], Any]) -> Any:
    """A linear step: ``pull`` is its transpose."""
    backend = backend_of(x)
    if not backend.autodiff:  # elsewhere the step is the framework's, and compilers read no tape
        record(backend.xp, steps.linear, (x,), {}, output, lambda wanted, c: (pull(c),))
    return output


def cast(x: Any, dtype: Any) -> Any:
    """``x`` in a dtype of its framework, as of another array."""
    xp = backend_of(x).xp
    if x.dtype == dtype:
        return x
    return _linear(x, xp.astype(x, dtype), lambda c: xp.astype(c, x.dtype))


def reshape(x: Any, shape: tuple[int, ...]) -> Any:
    """``x`` in another shape."""
    xp = backend_of(x).xp
    return _linear(x, xp.reshape(x, shape), lambda c: xp.reshape(c, tuple(x.shape)))


def broadcast(x: Any, like: Any) -> Any:
    """``x`` in the shape of another array, to which it broadcasts.

    Then in float32 at least: there the gradient is summed that is pulled back.
    """
    backend = backend_of(x)
    xp = backend.xp
    # Two lengths that are not known may differ.
    if tuple(x.shape) == tuple(like.shape) and None not in x.shape:
        return x
    if backend.dtype_name(x) in ("float16", "bfloat16"):
        x = cast(x, xp.float32)
    return _linear(x, xp.broadcast_like(x, like), lambda c: unbroadcast(xp, c, x))


def row_sum(x: Any, axis: int, scale: float = 1.0) -> Any:
    """The sums along an axis, times a number."""
    xp = backend_of(x).xp
    total = xp.sum(x, axis=axis, keepdims=False)

    def pull(c: Any) -> Any:
        return xp.broadcast_like(xp.expand_dims(c if scale == 1.0 else c * scale, axis=axis), x)

    return _linear(x, total if scale == 1.0 else total * scale, pull)


def at(x: Any, index: Any) -> Any:
    """The entries of a vector at indices, of one dimension."""
    xp = backend_of(x).xp

    def pull(c: Any) -> Any:
        step = max(1, _MOST // max(1, index.shape[0]))
        classes, parts = xp.class_range(index, x.shape[0]), []
        for start in range(0, x.shape[0], step):
            some = classes[start : min(start + step, x.shape[0])]
            hits = some[:, None] == index[None, :]
            parts.append(xp.sum(xp.where(hits, c[None, :], 0.0), axis=1, keepdims=False))
        return xp.concat(parts, axis=0)

    return _linear(x, xp.gather(x, index), pull)


def dot(rows: Any, vector: Any, n: int) -> Any:
    """The sums of rows of ``n`` numbers, or of one that stands for as many, times a vector."""
    backend = backend_of(rows)
    xp = backend.xp
    if rows.shape[1] == 1 or not vector.ndim:
        factor = row_sum(vector, 0) if vector.ndim else vector
        scale = 1.0 if vector.ndim or rows.shape[1] == n else float(n)
        return multiply(row_sum(rows, 1, scale), factor)
    column = reshape(vector, (-1, 1))
    output = xp.matmul(rows, column, rows.dtype)
    if not backend.autodiff:

        def pull(wanted: tuple[bool, ...], c: Any) -> tuple[Any, ...]:
            turned = xp.permute_dims(rows, (1, 0))
            row = xp.reshape(column, (1, -1))
            return c * row if wanted[0] else None, xp.matmul(turned, c, c.dtype)

        record(xp, steps.product, (rows, column), {}, output, pull)
    return squeeze(output)


def multiply(x: Any, factor: Any) -> Any:
    """``x * factor``, broadcast both ways; in the dtype of ``x``."""
    backend = backend_of(x)
    return backend.apply(steps.product, (x, factor), {"dtype": backend.dtype_name(x)})


def total(losses: Any) -> Any:
    """The sum of all losses, in their dtype."""
    backend = backend_of(losses)
    options = {"dtype": backend.accumulator(losses), "result": backend.dtype_name(losses)}
    return backend.apply(reduction.total, (losses,), options)


def quotient(part: Mean, of_none: float = 0.0) -> Any:
    """The value of a `Mean`, float64 where the device has it; ``of_none`` is what 0 / 0 is."""
    return mean(part.total, None, part.weight, of_none)


def mean(losses: Any, weights: Any = None, denominator: Any = None, of_none: float = 0.0) -> Any:
    """The sum of all losses divided by that of the weights, by a number, or by their count.

    ``of_none`` is what 0 / 0 is; its gradient is 0.
    """
    backend = backend_of(losses)
    options = {"dtype": backend.accumulator(losses), "result": backend.dtype_name(losses)}
    if weights is not None:
        weights = cast(weights, losses.dtype)  # summands keep their dtype, which may be narrow
    if of_none != 0.0 or math.isnan(of_none):
        options["of_none"] = str(of_none)
    return backend.apply(reduction.mean, (losses, weights, denominator), options)


def mean_or_zero(losses: Any, weights: Any) -> Any:
    """The sum divided by that of the weights; 0 where that is 0, also if the losses are NaN."""
    below = backend_of(losses).xp.stop_gradient(total(weights))
    return mean(choose(below != 0, losses, 0.0), weights)


def permute(x: Any, axes: tuple[int, ...]) -> Any:
    """``x`` with its axes, none negative, in another order."""
    xp = backend_of(x).xp
    if axes == tuple(range(len(axes))):
        return x
    back = tuple(sorted(range(len(axes)), key=axes.__getitem__))
    return _linear(x, xp.permute_dims(x, axes), lambda c: xp.permute_dims(c, back))


def choose(condition: Any, x: Any, other: float) -> Any:
    """``x`` where a condition holds, elsewhere a number, through which nothing flows back."""
    xp = backend_of(x).xp
    return _linear(x, xp.where(condition, x, other), lambda c: xp.where(condition, c, 0.0))


def squeeze(x: Any) -> Any:
    """``x`` without its last axis, of length 1."""
    xp = backend_of(x).xp
    return _linear(x, xp.squeeze(x, -1), lambda c: xp.expand_dims(c, axis=-1))


def expand(x: Any) -> Any:
    """``x`` with a new first axis."""
    xp = backend_of(x).xp
    return _linear(x, xp.expand_dims(x, axis=0), lambda c: xp.squeeze(c, 0))


def common_shape(shapes: Sequence[tuple[Any, ...]]) -> tuple[Any, ...]:
    """The shape to which these broadcast; a length that is not known is None, and may be any."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(_length(lengths) for lengths in zip(*padded, strict=True))


def _length(lengths: tuple[Any, ...]) -> Any:
    """The one that is not 1."""
    found = [n for n in lengths if not isinstance(n, int) or n != 1]
    known = {n for n in found if isinstance(n, int)}
    if len(known) > 1:
        raise ValueError
    return found[0] if found else 1
