"""Loops over the tiles of a linear layer in graphs, whose results grow in place."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import tensorflow as tf

from xentropy._types import Arrays, Namespace
from xentropy.formulas import tiles as formulas
from xentropy.formulas.linear import Head, Layer, Operands

__all__ = ["gradients", "length", "losses", "serves"]

Body = Callable[[Any, Any, Any], Any]

_ROWS = 2048
"""Rows of a tile, at most: the products of more are no faster."""
_LEAST = 8
"""Classes of a tile, at least."""
_HELD = {"float32": 96, "float64": 192}
"""Bytes for each logit of a tile: what is made of it, and what an allocator keeps of that."""


def serves(head: Head, given: Operands) -> bool:
    """Whether the loss can be computed by tiles."""
    return head.is_index and given.weight.shape.is_fully_defined() and 0 not in given.weight.shape


def losses(xp: Namespace, head: Head, given: Operands) -> tuple[Any, Any]:
    """The losses, and what the gradients need of each row."""
    xp, given, count = _plain(xp, head.layer), _counted(given), length(given.hidden, 0)
    n, (most, step) = given.weight.shape[0], _steps(head.layer, given)

    def some(start: Any, size: Any, found: Arrays) -> Arrays:
        part = _rows(given, start, size)

        def add(first: Any, number: Any, sums: Any) -> Any:
            return formulas.proceed(xp, head, _classes(part, first, number), sums)

        sums = _each(n, step, add, formulas.begin(xp, part.labels))
        results = formulas.losses(xp, head, part, sums)
        return tuple(_added(old, start, x) for old, x in zip(found, results, strict=True))

    dtype = getattr(xp, head.layer.dtype)
    start = _zeros(dtype, count), _zeros(tf.float64, count, formulas.SLOPES)
    return _each(count, most, some, start)


def gradients(xp: Namespace, head: Head, given: Operands, slopes: Any, cotangent: Any) -> list[Any]:
    """The gradients by hidden and weight, and by the bias if there is one."""
    xp, given, count = _plain(xp, head.layer), _counted(given), length(given.hidden, 0)
    (n, features), (most, step) = given.weight.shape, _steps(head.layer, given)
    dtype, bias = getattr(xp, head.layer.dtype), given.bias
    likes = [given.weight] if bias is None else [given.weight, bias]

    def add(first: Any, number: Any, found: Arrays) -> Arrays:
        def some(start: Any, size: Any, found: Arrays) -> Arrays:
            by_hidden, *sums = found
            tile = _classes(_rows(given, start, size), first, number)
            own = (_slice(x, start, size) for x in (slopes, cotangent))
            pieces, product = formulas.gradients(xp, head, tile, *own)
            added = (old + tf.cast(x, old.dtype) for old, x in zip(sums, pieces, strict=True))
            return _added(by_hidden, start, product), *added

        by_hidden, *old = found
        start = _zeros(dtype, number, features), _zeros(tf.float64, number)
        by_hidden, *sums = _each(count, most, some, (by_hidden, *start[: len(old)]))
        return by_hidden, *(
            _added(whole, first, tf.cast(x, whole.dtype))
            for whole, x in zip(old, sums, strict=True)
        )

    start = _zeros(dtype, count, features), *(_zeros(x.dtype, *x.shape) for x in likes)
    by_hidden, *found = _each(n, step, add, start)
    return [tf.cast(by_hidden, given.hidden.dtype), *found]


# --- tiles ------------------------------------------------------------------------------------


def _plain(xp: Namespace, layer: Layer) -> Any:
    """A namespace for sums in float64 of what is float32: they need no care to be accurate."""
    if layer.dtype == "float64":
        return xp

    def wide_sum(x: Any, /, *, axis: int, keepdims: bool) -> Any:
        return tf.reduce_sum(tf.cast(x, tf.float64), axis, keepdims)

    def peak(x: Any, /, *, axis: int, keepdims: bool) -> Any:
        return tf.reduce_max(x, axis, keepdims)  # NaN is seen in the sums

    return SimpleNamespace(**(vars(xp) | {"max": peak, "sum": wide_sum}))


def _steps(layer: Layer, given: Operands) -> tuple[Any, int]:
    """Rows and classes of a tile."""
    count, (n, features) = given.hidden.shape[0], given.weight.shape
    most = layer.max_memory // _HELD[layer.dtype]
    rows = max(1, min(_ROWS, most // max(_LEAST, features)))
    rows = rows if count is None else _even(count, rows)
    classes = _even(n, max(_LEAST, most // max(rows, features)))
    return (tf.minimum(rows, length(given.hidden, 0)) if count is None else rows), classes


def _even(n: int, most: int) -> int:
    """The length of parts: the same of all where possible, then a graph has one kind of them."""
    least = -(-n // most)
    return next((n // k for k in range(least, 2 * least) if n % k == 0), min(n, most))


def _counted(given: Operands) -> Operands:
    return given._replace(labels=tf.cast(given.labels, tf.int64))


def _rows(given: Operands, start: Any, size: Any) -> Operands:
    pairs = zip(given, given.are_rows(), strict=True)
    return Operands(*(_slice(x, start, size) if is_row else x for x, is_row in pairs))


def _classes(given: Operands, first: Any, number: Any) -> Operands:
    """Of some classes, from which labels count."""
    weight, mask = given.class_weight, given.class_mask
    if weight is not None and weight.shape.rank:
        weight = _slice(weight, first, number)
    if mask is not None and mask.shape[1] != 1:
        mask = _slice(mask, first, number, axis=1)
    return given._replace(
        weight=_slice(given.weight, first, number),
        bias=None if given.bias is None else _slice(given.bias, first, number),
        labels=given.labels - tf.cast(first, tf.int64),
        class_weight=weight,
        class_mask=mask,
    )


def length(x: Any, axis: int) -> Any:
    """A number, or a tensor where a graph will know it only when it runs."""
    n = x.shape[axis]
    return tf.shape(x)[axis] if n is None else n


# --- loops ------------------------------------------------------------------------------------


def _each(count: Any, size: Any, body: Body, state: Any) -> Any:
    """The state after ``body(start, length, state)`` of one part after the other."""
    if isinstance(count, int) and count <= size:
        return body(0, count, state) if count else state
    number = count // (max if isinstance(size, int) else tf.maximum)(size, 1)

    def proceed(i: Any, state: Any) -> Any:
        return i + 1, body(i * size, size, state)

    _, state = tf.while_loop(
        lambda i, _: i < number, proceed, (tf.constant(0), state), parallel_iterations=1
    )
    rest = count - number * size
    return state if isinstance(rest, int) and not rest else body(number * size, rest, state)


def _slice(x: Any, start: Any, size: Any, axis: int = 0) -> Any:
    """Some of the rows, or columns."""
    if x is None or x.shape[axis] == size:
        return x
    # XLA would pad the whole where a size is -1.
    sizes = [size if i == axis else length(x, i) for i in range(x.shape.rank)]
    part = tf.slice(x, [start if i == axis else 0 for i in range(x.shape.rank)], sizes)
    part.set_shape([n if isinstance(n, int) else None for n in sizes])
    return part


def _zeros(dtype: Any, *shape: Any) -> Any:
    """Zeros that no graph keeps as a constant, to copy them when it runs."""
    return tf.raw_ops.Empty(shape=shape, dtype=dtype, init=True)


def _added(total: Any, start: Any, part: Any) -> Any:
    """``total`` with a part added to some of its rows, in place where nothing else reads it."""
    if total.shape.is_fully_defined() and part.shape == total.shape:
        return total + part
    rows = (start + tf.range(length(part, 0)))[:, None]
    # On the CPU a scatter copies its tensor, and XLA has no other; compilers know this branch.
    # https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/scatter_nd_op.cc
    in_place = tf.raw_ops.ScatterNdNonAliasingAdd
    return tf.switch_case(
        tf.raw_ops.DeviceIndex(device_names=["CPU"]),
        [
            lambda: in_place(input=total, indices=rows, updates=part),
            lambda: tf.tensor_scatter_nd_add(total, rows, part),
        ],
    )
