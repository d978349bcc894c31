"""Loops over the tiles of a linear layer in graphs: blocks of rows and parts of the classes."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import tensorflow as tf
from tensorflow.python.ops.parallel_for import pfor

from xentropy._types import Arrays, Namespace
from xentropy.formulas import tiles as formulas
from xentropy.formulas.linear import Head, Layer, Operands

from .rows import Blocks, Step, blocks_of, length, looped, zeros_like

__all__ = ["blocks", "gradients", "losses", "serves"]

_ROWS = 2048
"""Rows of a tile, at most: the products of more are no faster."""
_LEAST = 8
"""Classes of a tile, at least."""
_HELD = {"float32": 96, "float64": 192}
"""Bytes for each logit of a tile: what is made of it, and what an allocator keeps of that."""


def serves(head: Head, given: Operands) -> bool:
    """Whether the loss can be computed by tiles."""
    return head.is_index and given.weight.shape.is_fully_defined() and 0 not in given.weight.shape


def blocks(head: Head, given: Operands) -> Blocks:
    """The rows of tiles."""
    given = given._replace(labels=tf.cast(given.labels, tf.int64))
    return blocks_of(given, _steps(head.layer, given)[0])


def losses(xp: Namespace, head: Head, blocks: Blocks) -> Arrays:
    """The losses, and what the gradients need of each row, in blocks."""
    xp, dtype = _plain(xp, head.layer), getattr(xp, head.layer.dtype)
    n, (_, step) = blocks.operands.weight.shape[0], _steps(head.layer, blocks.operands)

    def run(*block: Any) -> Arrays:
        part = Operands(*block)

        def add(first: Any, number: int, sums: Any) -> Any:
            return formulas.proceed(xp, head, _classes(part, first, number), sums)

        sums = _each(n, step, add, formulas.begin(xp, part.labels))
        return formulas.losses(xp, head, part, sums)

    return looped(Step(run, blocks.are_rows, (dtype, tf.float64), dtype), blocks.operands)


def gradients(xp: Namespace, head: Head, blocks: Blocks, slopes: Any, cotangent: Any) -> list[Any]:
    """The gradients by hidden and weight, and by the bias if there is one.

    Nothing in the loops asks for a device or allocates: of what would, a graph keeps also what only
    makes a gradient that nobody asks for.
    """
    given = (xp, head, blocks, slopes, cotangent)
    # On the CPU a scatter copies its tensor, and XLA has no other; compilers know this branch.
    # https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/core/kernels/scatter_nd_op.cc
    found: list[Any] = tf.switch_case(
        tf.raw_ops.DeviceIndex(device_names=["CPU"]),
        [
            lambda: _gradients(*given, _added_in_place),
            lambda: _gradients(*given, tf.tensor_scatter_nd_add),
        ],
    )
    return found


def _gradients(
    xp: Namespace, head: Head, blocks: Blocks, slopes: Any, cotangent: Any, scatter: Any
) -> list[Any]:
    """The same, with what adds to some rows."""
    xp, dtype = _plain(xp, head.layer), getattr(xp, head.layer.dtype)
    operands, own = blocks.operands, (slopes, blocks.of_rows(cotangent))
    number, n = length(operands.hidden, 0), operands.weight.shape[0]
    _, step = _steps(head.layer, operands)
    of_classes = [i for i in (1, 2) if operands[i] is not None]

    def add(first: Any, size: int, found: Arrays) -> Arrays:
        tile = _classes(operands, first, size)

        # Not `looped`: tf.vectorized_map has no loop in a loop of what has a result of each row.
        def proceed(i: Any, found: Arrays) -> Any:
            pairs = zip((*tile, *own), (*blocks.are_rows, True, True), strict=True)
            *part, slope, c = (x[i] if is_row else x for x, is_row in pairs)
            pieces, product = formulas.gradients(xp, head, Operands(*part), slope, c)
            sums = (old + tf.cast(x, dtype) for old, x in zip(found[1:], pieces, strict=True))
            return i + 1, (_added(scatter, found[0], [[i]], product[None]), *sums)

        start = found[0], *(zeros_like(tile[i], dtype) for i in of_classes)
        _, (by_hidden, *pieces) = tf.while_loop(
            lambda i, _: i < number, proceed, (tf.constant(0), start), parallel_iterations=1
        )
        rows = (first + tf.range(size))[:, None]
        pairs = zip(found[1:], pieces, strict=True)
        return by_hidden, *(_added(scatter, x, rows, tf.cast(part, x.dtype)) for x, part in pairs)

    start = (
        zeros_like(operands.hidden, dtype),
        *(zeros_like(operands[i], operands[i].dtype) for i in of_classes),
    )
    by_hidden, *found = _each(n, step, add, start)
    return [tf.cast(blocks.joined(by_hidden), operands.hidden.dtype), *found]


# --- parts of the classes ---------------------------------------------------------------------


def _plain(xp: Namespace, layer: Layer) -> Any:
    """A namespace for sums in float64 of what is float32: they need no care to be accurate."""
    if layer.dtype == "float64":
        return xp

    def wide_sum(x: Any, /, *, axis: int, keepdims: bool) -> Any:
        return tf.reduce_sum(tf.cast(x, tf.float64), axis, keepdims)

    def peak(x: Any, /, *, axis: int, keepdims: bool) -> Any:
        return tf.reduce_max(x, axis, keepdims)  # NaN is seen in the sums

    return SimpleNamespace(**(vars(xp) | {"max": peak, "sum": wide_sum}))


def _steps(layer: Layer, given: Operands) -> tuple[int, int]:
    """Rows and classes of a tile, at most."""
    n, features = given.weight.shape
    most = layer.max_memory // _HELD[layer.dtype]
    rows = max(1, min(_ROWS, most // max(_LEAST, features)))
    return rows, _even(n, max(_LEAST, most // max(rows, features)))


def _even(n: int, most: int) -> int:
    """The length of parts: the same of all where possible, then a graph has one kind of them."""
    least = -(-n // most)
    return next((n // k for k in range(least, 2 * least) if n % k == 0), min(n, most))


def _classes(given: Operands, first: Any, number: int) -> Operands:
    """Of some classes, from which labels count."""
    weight, mask = given.class_weight, given.class_mask
    if weight is not None and weight.shape.rank:
        weight = _slice(weight, first, number)
    if mask is not None and mask.shape[-1] != 1:
        mask = _slice(mask, first, number, axis=mask.shape.rank - 1)
    return given._replace(
        weight=_slice(given.weight, first, number),
        bias=None if given.bias is None else _slice(given.bias, first, number),
        labels=given.labels - tf.cast(first, tf.int64),
        class_weight=weight,
        class_mask=mask,
    )


def _each(n: int, size: int, body: Callable[[Any, int, Any], Any], state: Any) -> Any:
    """The state after ``body(first, number, state)`` of one part of the classes after the other."""
    if n <= size:
        return body(0, n, state)
    number = n // size

    def proceed(i: Any, state: Any) -> Any:
        return i + 1, body(i * size, size, state)

    _, state = tf.while_loop(
        lambda i, _: i < number, proceed, (tf.constant(0), state), parallel_iterations=1
    )
    return body(number * size, n - number * size, state) if n % size else state


def _slice(x: Any, first: Any, number: int, axis: int = 0) -> Any:
    """Some of the classes."""
    if x.shape[axis] == number:
        return x
    # XLA would pad the whole where a size is -1.
    shape = tf.shape(x)
    sizes = [number if i == axis else shape[i] if n is None else n for i, n in enumerate(x.shape)]
    part = tf.slice(x, [first if i == axis else 0 for i in range(x.shape.rank)], sizes)
    part.set_shape([n if isinstance(n, int) else None for n in sizes])
    return part


def _added_in_place(whole: Any, rows: Any, part: Any) -> Any:
    """The whole with a part added to some rows, where nothing else reads it."""
    return tf.raw_ops.ScatterNdNonAliasingAdd(input=whole, indices=rows, updates=part)


def _added(scatter: Any, whole: Any, rows: Any, part: Any) -> Any:
    """The whole with a part added, by ``scatter`` where it is of some rows."""
    if part.shape.is_fully_defined() and part.shape == whole.shape:
        return whole + part
    return scatter(whole, rows, part)


# --- what tf.vectorized_map lacks -------------------------------------------------------------


def _stacked(op: Any) -> Any:
    """Many additions to rows as one."""
    op.stack_inputs()
    whole, rows, part = (x.t for x in op.inputs)
    which = tf.broadcast_to(tf.range(tf.shape(rows)[0])[:, None, None], tf.shape(rows))
    return pfor.wrap(tf.tensor_scatter_nd_add(whole, tf.concat([which, rows], -1), part), True)


# https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/parallel_for/pfor.py#L4358
for _name in ("ScatterNdNonAliasingAdd", "TensorScatterAdd"):
    if _name not in pfor._pfor_converter_registry:
        pfor.RegisterPFor(_name)(_stacked)
# Nothing happens where it runs.
pfor.passthrough_stateful_ops.add("DeviceIndex")
