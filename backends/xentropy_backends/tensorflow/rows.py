"""Functions of some rows after the other, in a loop where a graph is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from xentropy._types import Arrays, Namespace
from xentropy.formulas.linear import Operands
from xentropy.kernels.pool import aligned
from xentropy.kernels.tiles import slices

from .kernels import lend, take

__all__ = [
    "Blocks",
    "Step",
    "blocks_of",
    "length",
    "looped",
    "summed",
    "with_products",
    "zeros_like",
]


class Blocks(NamedTuple):
    """Operands whose rows stand in blocks, (number, step, ...); some that are left out fill up."""

    operands: Operands
    are_rows: tuple[bool, ...]
    count: Any  # of rows

    def of_rows(self, x: Any) -> Any:
        """What has an entry a row, in such blocks."""
        number, step, *_ = (length(self.operands.hidden, i) for i in range(2))
        return _parted(x, [number, step], number * step - self.count)

    def joined(self, x: Any) -> Any:
        """The rows of such blocks."""
        lengths = (length(x, i) for i in range(2, x.shape.rank))
        return tf.reshape(x, (-1, *lengths))[: self.count]


def blocks_of(given: Operands, most: Any) -> Blocks:
    """Blocks of so many rows at most."""
    count = length(given.hidden, 0)
    # Without rows there is a block of one that is left out.
    least = max if isinstance(count, int) and isinstance(most, int) else tf.maximum
    number = least(-(-count // most), 1)
    step = least(-(-count // number), 1)
    more = number * step - count
    if given.keep is None and not (isinstance(more, int) and more == 0):
        given = given._replace(keep=tf.ones((count,), tf.bool))
    are_rows = given.are_rows()
    pairs = zip(given._fields, given, are_rows, strict=True)
    # To keep no class would be no softmax. An identity, because a function takes a small tensor
    # from outside its graph for a constant.
    parts = (
        _parted(x, [number, step], more, name == "class_mask")
        if is_row
        else None
        if x is None
        else tf.identity(x)
        for name, x, is_row in pairs
    )
    return Blocks(Operands(*parts), are_rows, count)


def _parted(x: Any, by: list[Any], more: Any, rest: Any = 0) -> Any:
    """Rows by number and step, after adding some."""
    if not isinstance(more, int) or more:
        x = tf.pad(x, [[0, more], *([0, 0] for _ in x.shape[1:])], constant_values=rest)
    return tf.reshape(x, [*by, *(length(x, i) for i in range(1, x.shape.rank))])


def length(x: Any, axis: int) -> Any:
    """A number, or a tensor where a graph will know it only when it runs."""
    n = x.shape[axis]
    return tf.shape(x)[axis] if n is None else n


def zeros_like(x: Any, dtype: Any) -> Any:
    """Zeros that no graph keeps as a constant, to copy them when it runs."""
    shape = [length(x, i) for i in range(x.shape.rank)]
    zero = tf.reduce_sum(tf.cast(tf.reshape(x, (-1,))[:1] > float("inf"), dtype))
    return tf.stop_gradient(tf.fill(shape, zero))


class Step(NamedTuple):
    """What is done with each block: a function of tensors that returns a tuple of tensors."""

    run: Callable[..., Arrays]
    are_rows: tuple[bool, ...]  # of the arguments; others are whole in each block
    results: tuple[Any, ...]  # the argument that each is shaped like, or the dtype of one of rows
    dtype: Any  # that is computed in


def looped(step: Step, arrays: Sequence[Any]) -> Arrays:
    """Block after block: of rows the results of all, others added up."""
    number = length(arrays[0], 0)
    likes = [arrays[i] if isinstance(i, int) else None for i in step.results]
    are_rows = [not isinstance(i, int) or step.are_rows[i] for i in step.results]
    pairs = zip(step.results, likes, strict=True)
    dtypes = [dtype if x is None else x.dtype for dtype, x in pairs]

    def block(i: Any) -> Arrays:
        pairs = zip(arrays, step.are_rows, strict=True)
        return step.run(*(x[i] if is_row else x for x, is_row in pairs))

    if isinstance(number, int) and number == 1:
        results = zip(block(0), are_rows, dtypes, strict=True)
        return tuple(tf.cast(x[None] if is_row else x, dtype) for x, is_row, dtype in results)
    start = tuple(
        tf.TensorArray(dtype, number) if is_row else zeros_like(x, step.dtype)
        for x, is_row, dtype in zip(likes, are_rows, dtypes, strict=True)
    )

    def one(i: Any, found: Arrays) -> Any:
        return i + 1, tuple(
            old.write(i, tf.cast(x, dtype)) if is_row else old + tf.cast(x, step.dtype)
            for old, x, is_row, dtype in zip(found, block(i), are_rows, dtypes, strict=True)
        )

    _, found = tf.while_loop(
        lambda i, _: i < number, one, (0, start), parallel_iterations=1, maximum_iterations=number
    )
    return tuple(
        x.stack() if is_row else tf.cast(x, dtype)
        for x, is_row, dtype in zip(found, are_rows, dtypes, strict=True)
    )


# --- in the memory of their result ------------------------------------------------------------

_MOST = 2**21
"""Numbers of a product at a time."""


class _Product(NamedTuple):
    """A product of matrices, the first transposed, that is only to be added to a sum."""

    a: Any
    b: Any

    def add_to(self, total: np.ndarray[Any, Any]) -> None:
        """Some of its rows after the other."""
        for part in slices(len(total), max(_MOST // max(self.b.shape[1], 1), 1)):
            target = total[part]
            target += lend(tf.matmul(self.a[:, part], self.b, transpose_a=True))


def with_products(xp: Namespace) -> Any:
    """The namespace, where such products wait for their sum."""

    def matmul(a: Any, b: Any, dtype: Any, turned: str = "", /) -> Any:
        if turned == "a":
            return _Product(xp.astype(a, dtype), xp.astype(b, dtype))
        return xp.matmul(a, b, dtype, turned)

    return SimpleNamespace(**(vars(xp) | {"matmul": matmul}))


def summed(step: Step, arrays: Sequence[Any]) -> Arrays:
    """What `looped` gives, of tensors on the CPU that nobody differentiates."""
    likes = [arrays[i] for i in step.results]
    are_rows = [step.are_rows[i] for i in step.results]
    found: list[Any] = [
        [] if is_row else aligned(x.shape, step.dtype.as_numpy_dtype)
        for x, is_row in zip(likes, are_rows, strict=True)
    ]
    for total, is_row in zip(found, are_rows, strict=True):
        if not is_row:
            total[...] = 0
    for i in range(arrays[0].shape[0]):
        pairs = zip(arrays, step.are_rows, strict=True)
        results = step.run(*(x[i] if is_row else x for x, is_row in pairs))
        for total, x, like, is_row in zip(found, results, likes, are_rows, strict=True):
            if is_row:
                total.append(tf.cast(x, like.dtype))
            elif isinstance(x, _Product):
                x.add_to(total)
            else:
                total += lend(tf.cast(x, step.dtype))
    sums = zip(found, likes, are_rows, strict=True)
    return tuple(
        tf.stack(x) if is_row else tf.cast(take(x), like.dtype) for x, like, is_row in sums
    )
