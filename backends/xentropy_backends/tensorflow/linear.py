"""The loss of a linear layer: by kernels on the CPU in eager mode, in graphs tile by tile.

What neither of them serves, dense labels and second derivatives among it, goes block by block, and
so does its gradient, which computes the logits of some rows anew: no more are held than these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import tensorflow as tf

from xentropy._types import Arrays, Namespace, Options
from xentropy.dispatch import Backend
from xentropy.formulas import linear as formulas
from xentropy.formulas.formula import Formula, vjp
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.statistics import REAL, Request, picked
from xentropy.kernels import linear as on_host
from xentropy.kernels import linear_statistics as of_layer
from xentropy.kernels.pool import aligned

from . import kernels, tiles
from .rows import Blocks, Step, blocks_of, length, looped, summed, with_products

__all__ = ["losses", "statistics"]

Apply = Callable[..., Any]
Run = Callable[..., Arrays]


def losses(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    """The losses of all rows, (N,), and their gradients by whatever is floating."""
    if _serves(given):
        return _by_kernel(xp, apply, head, given)
    if not tf.executing_eagerly() and tiles.serves(head, given):
        return _by_tile(xp, apply, head, given)
    return _by_block(_of_losses(xp, apply, head), head.layer, given)[0]


def statistics(backend: Backend, layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows; derivatives compute the logits of each block again."""
    xp, dtype = backend.xp, getattr(backend.xp, layer.dtype)
    names = sorted(request.outputs, key=lambda name: name not in REAL)
    asked = request._replace(outputs=tuple(names))
    reals = sum(name in REAL for name in names)

    def run(*block: Any) -> Arrays:
        return formulas.ask(xp, layer, Operands(*block), asked, backend.statistics)

    def pull(xp: Namespace, wanted: tuple[bool, ...], *block: Any) -> Arrays:
        operands, cotangents = Operands(*block[: len(wanted)]), block[len(wanted) :]
        by_name = dict(zip(names, cotangents, strict=False))
        return formulas.ask_gradients(xp, layer, operands, asked, wanted, by_name, _by_logits(xp))

    def whole() -> Arrays | None:
        if not _serves(given) or 0 in given.hidden.shape:
            return None
        found = of_layer.statistics(layer, _lent(given), asked, aligned)
        return picked({name: kernels.take(x) for name, x in found.items()}, asked.outputs)

    others = {"rank": tf.int64, "correct": tf.bool, "top_k": tf.int64}
    dtypes = tuple(others.get(name, dtype) for name in names)
    rows = _Rows(xp, run, run, pull, dtypes, reals, dtype, whole)
    found = dict(zip(names, _by_block(rows, layer, given), strict=True))
    return tuple(found[name] for name in request.outputs)


def _by_logits(xp: Namespace) -> Callable[..., Any]:
    """What gives the gradient of a formula by its first argument."""

    def pull(formula: Formula, arrays: Arrays, options: Options, cotangent: Any) -> Any:
        kernel = None if kernels.is_recorded() else kernels.find(xp, formula, arrays, options, None)
        if kernel is not None:
            return kernel.slope(cotangent, arrays)
        only = (True, *(False for _ in arrays[1:]))
        return vjp(xp, formula, arrays, options, only, cotangent)[0]

    return pull


def _floating(arrays: Sequence[Any]) -> list[int]:
    """The positions of what has derivatives."""
    return [i for i, x in enumerate(arrays) if x is not None and x.dtype.is_floating]


def _moving(arrays: Sequence[Any]) -> list[int]:
    """The positions of what may be differentiated: in eager mode tapes are asked."""
    found = _floating(arrays)
    if not tf.executing_eagerly():
        return found
    return [i for i in found if kernels.are_watched([arrays[i]])]


def _replaced(arrays: Sequence[Any], where: Sequence[int], tensors: Sequence[Any]) -> list[Any]:
    found = dict(zip(where, tensors, strict=True))
    return [found.get(i, x) for i, x in enumerate(arrays)]


# --- kernels ----------------------------------------------------------------------------------

_REAL = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


def _serves(given: Operands) -> bool:
    """Whether kernels can read what is there, and nobody pushes tangents forward."""
    tensors = [x for x in given if x is not None]
    if not tf.executing_eagerly() or any(map(tf.is_symbolic_tensor, tensors)):
        return False
    if any(map(kernels.accelerated, tensors)) or kernels.has_tangent(*tensors):
        return False
    return all(x.dtype in _REAL for x in given[:3] if x is not None)


def _lent(given: Operands) -> Operands:
    return Operands(*map(kernels.lend, (*given[:3], *map(kernels.widened, given[3:]))))


def _by_kernel(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    moving = _moving(given)
    wanted = tuple(i in moving for i in range(len(given)))
    found, state = on_host.losses(head, _lent(given), aligned, wanted[:3])
    output = kernels.take(found)
    if not moving:
        return output

    def pulled(upstream: Any) -> list[Any]:
        pulled = on_host.gradients(state, kernels.lend(upstream), wanted[:3], aligned)
        found = [None if x is None else kernels.take(x) for x in pulled]
        others = (False, False, False, *wanted[3:])
        if any(others):
            found += formulas.differentiate(xp, head, given, others, upstream)[3:]
        return [found[i] for i in moving]

    @tf.custom_gradient
    def connect(*tensors: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
        def gradient(upstream: Any) -> list[Any]:
            upstream = tf.convert_to_tensor(upstream)  # tf.gather sends slices
            both = [upstream, *tensors]
            # Of many at once, as in tape.jacobian, or to be differentiated again.
            if (
                tf.is_symbolic_tensor(upstream)
                or kernels.are_watched(both)
                or kernels.has_tangent(*both)
            ):
                with tf.GradientTape() as tape:
                    tape.watch(tensors)
                    inputs = Operands(*_replaced(given, moving, tensors))
                    rows = _of_losses(xp, apply, head)
                    (again,) = _by_block(rows, head.layer, inputs)
                return list(tape.gradient(again, tensors, output_gradients=upstream))
            return pulled(upstream)

        return output, gradient

    return connect(*(given[i] for i in moving))


# --- tiles ------------------------------------------------------------------------------------

_BIAS = Operands._fields.index("bias")


def _by_tile(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    """The losses in a graph, from tiles, whose gradients are differentiated by the formulas."""
    present = [i for i, x in enumerate(given) if x is not None]
    moving = _floating(given)
    of_layer = [i for i in moving if i <= _BIAS]
    others = [i for i in moving if i > _BIAS]
    # An identity, because a function takes a small tensor from outside its graph for a constant.
    given = Operands(*(None if x is None else tf.identity(x) for x in given))
    blocks = tiles.blocks(head, given)
    output, slopes = tiles.losses(xp, head, blocks)
    output = blocks.joined(output)

    def inputs_of(tensors: Arrays) -> Operands:
        return Operands(*_replaced(given, present, tensors))

    def by_formulas(upstream: Any, tensors: Arrays, wanted: Sequence[int]) -> list[Any]:
        """The gradients from blocks of rows, to be differentiated again."""
        inputs = inputs_of(tensors)
        (again,) = _by_block(_of_losses(xp, apply, head), head.layer, inputs, wanted)
        # No tape: forward mode stops them.
        return list(tf.gradients(again, [inputs[i] for i in wanted], upstream))

    @tf.custom_gradient
    def first(upstream: Any, slopes: Any, *tensors: Any) -> tuple[Any, Callable[..., Any]]:
        def second(*cotangents: Any) -> list[Any]:
            sources = [upstream, *(tensors[present.index(i)] for i in moving)]
            found = by_formulas(upstream, tensors, of_layer)
            by_upstream, *rest = tf.gradients(found, sources, list(cotangents))
            pairs = dict(zip(moving, rest, strict=True))
            return [by_upstream, None, *(pairs.get(i) for i in present)]

        blocks = tiles.blocks(head, inputs_of(tensors))
        return tiles.gradients(xp, head, blocks, slopes, upstream), second

    @tf.custom_gradient
    def connect(slopes: Any, *tensors: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
        def gradient(upstream: Any) -> list[Any]:
            upstream = tf.convert_to_tensor(upstream)
            found = _as_function(first)(upstream, slopes, *tensors)
            # Apart, so that a graph drops what nobody asks for.
            found = [*found, *(by_formulas(upstream, tensors, others) if others else [])]
            pairs = dict(zip(moving, found, strict=True))
            return [None, *(pairs.get(i) for i in present)]

        return output, gradient

    # Nothing is to go back through them: a function makes of no gradient one of 0, which is NaN
    # where a label that is left out is wrong.
    return _as_function(connect)(tf.stop_gradient(slopes), *(given[i] for i in present))


def _as_function(f: Callable[..., Any]) -> Callable[..., Any]:
    """What has a gradient of its own: of a function forward mode takes it, transposed."""
    call: Callable[..., Any] = tf.function(f, autograph=False)
    return call


# --- blocks -----------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """A function of the operands of some rows, with one result or more of each row."""

    xp: Namespace
    run: Run
    moved: Run  # the same, to be differentiated op by op
    # The gradients, of a namespace, what is wanted, operands, and cotangents of the first results.
    pull: Run
    dtypes: tuple[Any, ...]  # of the results
    reals: int  # how many of the first results have derivatives
    dtype: Any  # that is computed in
    whole: Callable[[], Arrays | None] = lambda: None  # the results of all rows, if by a kernel


def _of_losses(xp: Namespace, apply: Apply, head: Head) -> _Rows:
    def run(*block: Any) -> Arrays:
        return (formulas.losses(xp, head, Operands(*block)),)

    def moved(*block: Any) -> Arrays:
        return (formulas.losses(xp, head, Operands(*block), apply),)

    def pull(xp: Namespace, wanted: tuple[bool, ...], *block: Any) -> Arrays:
        *operands, cotangent = block
        return formulas.gradients(xp, head, Operands(*operands), wanted, cotangent)

    dtype = getattr(xp, head.layer.dtype)
    return _Rows(xp, run, moved, pull, (dtype,), 1, dtype)


def _by_block(
    rows: _Rows, layer: Layer, given: Operands, wanted: Sequence[int] | None = None
) -> Arrays:
    """The results, from some rows at a time, with gradients of any order.

    These are by the operands at the positions wanted, or by all that may be differentiated.
    """
    blocks = blocks_of(given, _most_rows(layer, given.weight))
    operands, are_rows, _ = blocks
    if tf.executing_eagerly() and kernels.has_tangent(*(x for x in operands if x is not None)):
        # Op by op: forward mode holds no more than a block.
        found = looped(Step(rows.moved, are_rows, rows.dtypes, rows.dtype), operands)
    else:
        moving = _moving(operands) if wanted is None else wanted
        found = _recomputed(rows, blocks, moving)
    return tuple(map(blocks.joined, found))


def _most_rows(layer: Layer, weight: Any) -> Any:
    """Rows of a block, a tensor where a graph does not know the number of classes."""
    n = length(weight, 0)
    if isinstance(n, int):
        return formulas.most_rows(layer, n)
    return tf.maximum(min(formulas.most_rows(layer, 1), tf.int32.max) // tf.maximum(n, 1), 1)


def _recomputed(rows: _Rows, of_rows: Blocks, moving: Sequence[int]) -> Arrays:
    """The results of all blocks, whose gradient is a step of its own of all blocks anew."""
    blocks, are_rows, _ = of_rows
    present = [i for i, x in enumerate(blocks) if x is not None]
    wanted = tuple(i in moving for i in range(len(blocks)))

    def pull(xp: Namespace, *block: Any) -> Arrays:
        found = rows.pull(xp, wanted, *block)
        return tuple(found[i] for i in moving)

    # Tapes keep nothing of what they do not see. In a graph they find it where a map has dropped
    # the gradient that stands here:
    # https://github.com/tensorflow/tensorflow/blob/v2.21.0/tensorflow/python/ops/parallel_for/pfor.py#L2247
    with tf.init_scope() if tf.executing_eagerly() else nullcontext():
        whole = rows.whole()
        if whole is None:
            found = looped(Step(rows.run, are_rows, rows.dtypes, rows.dtype), blocks)
        else:
            found = tuple(map(of_rows.of_rows, whole))
    real, others = found[: rows.reals], found[rows.reals :]
    if not (moving and real):
        return found
    back = (*are_rows, *(True for _ in real)), tuple(moving), rows.dtype

    # Of all tensors, also of labels: what the gradient of a function closes over it cannot reach.
    @tf.custom_gradient
    def connect(*tensors: Any) -> tuple[Arrays, Callable[..., list[Any]]]:
        def gradient(*upstream: Any) -> list[Any]:
            inputs = _replaced(blocks, present, tensors)
            inputs += map(tf.convert_to_tensor, upstream)
            if kernels.are_plain([x for x in inputs if x is not None]):
                found = summed(Step(partial(pull, with_products(rows.xp)), *back), inputs)
            else:
                found = looped(Step(partial(pull, rows.xp), *back), inputs)
            pairs = dict(zip(moving, found, strict=True))
            return [pairs.get(i) for i in present]

        return real, gradient

    # In a graph forward mode takes the transposed gradient of a function; see `adapter`.
    call = connect if tf.executing_eagerly() else _as_function(connect)
    return *call(*(blocks[i] for i in present)), *others
