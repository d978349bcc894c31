"""The loss of a linear layer: by kernels on the CPU in eager mode, elsewhere block by block.

A block are some rows. In graphs a loop runs over the blocks, and so does its gradient, which
computes the logits anew: no more of them are held than of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from xentropy._types import Arrays, Namespace
from xentropy.dispatch import Backend
from xentropy.formulas import linear as formulas
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.statistics import REAL, Request
from xentropy.kernels import linear as on_host
from xentropy.kernels.pool import aligned

from . import kernels

__all__ = ["losses", "statistics"]

Apply = Callable[..., Any]
Run = Callable[..., Arrays]


def losses(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    """The losses of all rows, (N,), and their gradients by whatever is floating."""
    if _serves(given):
        return _by_kernel(xp, apply, head, given)
    return _by_block(xp, apply, head, given)


def statistics(backend: Backend, layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows; derivatives compute the logits of each block again."""
    moving = _floating(given)

    def answer(part: Operands) -> Arrays:
        found: dict[str, Any] = {}

        def reals(*tensors: Any) -> Arrays:
            inputs = Operands(*_replaced(part, moving, tensors))
            asked = formulas.ask(backend.xp, layer, inputs, request, backend.statistics)
            by_name = dict(zip(request.outputs, asked, strict=True))
            # What has no derivatives is taken from the first call.
            found.update((name, x) for name, x in by_name.items() if name not in found)
            return tuple(by_name[name] for name in request.outputs if name in REAL)

        moved = kernels.has_tangent(*(part[i] for i in moving))  # which recomputing refuses
        followed = kernels.is_recorded() and not moved
        followed = followed and any(name in REAL for name in request.outputs)
        again = tf.recompute_grad(reals) if followed else reals
        names = [name for name in request.outputs if name in REAL]
        found.update(zip(names, again(*(part[i] for i in moving)), strict=True))
        return tuple(found[name] for name in request.outputs)

    return formulas.statistics(backend.xp, layer, given, answer)


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

_WEIGHT = Operands._fields.index("weight")
_REAL = (tf.float16, tf.bfloat16, tf.float32, tf.float64)


def _serves(given: Operands) -> bool:
    """Whether kernels can read what is there, and nobody pushes tangents forward."""
    tensors = [x for x in given if x is not None]
    if not tf.executing_eagerly() or any(map(tf.is_symbolic_tensor, tensors)):
        return False
    if any(map(kernels.accelerated, tensors)) or kernels.has_tangent(*tensors):
        return False
    return all(x.dtype in _REAL for x in given[:3] if x is not None)


def _by_kernel(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    lent = Operands(*map(kernels.lend, (*given[:3], *map(kernels.widened, given[3:]))))
    moving = _moving(given)
    found, state = on_host.losses(head, lent, aligned, holding=_WEIGHT in moving)
    output = kernels.take(found)
    if not moving:
        return output
    wanted = tuple(i in moving for i in range(len(given)))

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
                    again = _by_block(xp, apply, head, inputs)
                return list(tape.gradient(again, tensors, output_gradients=upstream))
            return pulled(upstream)

        return output, gradient

    return connect(*(given[i] for i in moving))


# --- blocks -----------------------------------------------------------------------------------


class _Step(NamedTuple):
    """What is done with each block: a function of tensors that returns a tuple of tensors."""

    run: Run
    are_rows: tuple[bool, ...]  # of the arguments; others are whole in each block
    results: tuple[int | None, ...]  # the argument that each is shaped like, None for losses
    dtype: Any  # that is computed in


def _by_block(xp: Namespace, apply: Apply, head: Head, given: Operands) -> Any:
    """The losses from the formulas, some rows at a time, with gradients of any order."""
    most = formulas.most_rows(head.layer, given.weight.shape[0])
    count = _length(given.hidden, 0)
    # Without rows there is a block of none.
    number = (max if isinstance(count, int) else tf.maximum)(-(-count // most), 1)
    step = -(-count // number)
    more = number * step - count
    if given.keep is None and not (isinstance(more, int) and more == 0):
        given = given._replace(keep=tf.ones((count,), tf.bool))
    blocks, are_rows = _parted(given, more, [number, step]), given.are_rows()
    dtype = getattr(xp, head.layer.dtype)
    if tf.executing_eagerly() and kernels.has_tangent(*(x for x in blocks if x is not None)):
        # Op by op: forward mode holds no more than a block.
        def forward(*block: Any) -> Arrays:
            return (formulas.losses(xp, head, Operands(*block), apply),)

        (found,) = _looped(_Step(forward, are_rows, (None,), dtype), blocks)
    else:
        found = _recomputed(xp, head, are_rows, dtype, blocks)
    return tf.reshape(found, (-1,))[:count]


def _parted(given: Operands, more: Any, by: list[Any]) -> Operands:
    """Rows by number and step, (number, step, ...), after adding some that are left out."""

    def parted(x: Any, rest: Any) -> Any:
        if not isinstance(more, int) or more:
            x = tf.pad(x, [[0, more], *([0, 0] for _ in x.shape[1:])], constant_values=rest)
        lengths = (_length(x, i) for i in range(1, x.shape.rank))
        return tf.reshape(x, [*by, *lengths])

    pairs = zip(given._fields, given, given.are_rows(), strict=True)
    # To keep no class would be no softmax. An identity, because a function takes a small tensor
    # from outside its graph for a constant.
    return Operands(
        *(
            parted(x, name == "class_mask") if is_row else None if x is None else tf.identity(x)
            for name, x, is_row in pairs
        )
    )


def _length(x: Any, axis: int) -> Any:
    """A number, or a tensor where a graph will know it only when it runs."""
    n = x.shape[axis]
    return tf.shape(x)[axis] if n is None else n


def _recomputed(
    xp: Namespace, head: Head, are_rows: tuple[bool, ...], dtype: Any, blocks: Operands
) -> Any:
    """The losses of all blocks, whose gradient is a step of its own of all blocks anew."""
    present = [i for i, x in enumerate(blocks) if x is not None]
    moving = _moving(blocks)
    wanted = tuple(i in moving for i in range(len(blocks)))

    def run(*block: Any) -> Arrays:
        return (formulas.losses(xp, head, Operands(*block)),)

    def pull(*block: Any) -> Arrays:
        *operands, cotangent = block
        found = formulas.gradients(xp, head, Operands(*operands), wanted, cotangent)
        return tuple(found[i] for i in moving)

    constants = [None if x is None else tf.stop_gradient(x) for x in blocks]
    (output,) = _looped(_Step(run, are_rows, (None,), dtype), constants)
    if not moving:
        return output
    back = _Step(pull, (*are_rows, True), tuple(moving), dtype)

    # Of all tensors, also of labels: what the gradient of a function closes over it cannot reach.
    @tf.custom_gradient
    def connect(*tensors: Any) -> tuple[Any, Callable[[Any], list[Any]]]:
        def gradient(upstream: Any) -> list[Any]:
            inputs = _replaced(blocks, present, tensors)
            found = _looped(back, [*inputs, tf.convert_to_tensor(upstream)])
            pairs = dict(zip(moving, found, strict=True))
            return [pairs.get(i) for i in present]

        return output, gradient

    # In a graph forward mode takes the transposed gradient of a function; see `adapter`.
    call = connect if tf.executing_eagerly() else tf.function(connect, autograph=False)
    return call(*(blocks[i] for i in present))


def _looped(step: _Step, arrays: Sequence[Any]) -> Arrays:
    """Block after block: of rows the results of all, others added up."""
    number = _length(arrays[0], 0)
    likes = [None if i is None else arrays[i] for i in step.results]
    are_rows = [i is None or step.are_rows[i] for i in step.results]
    dtypes = [step.dtype if x is None else x.dtype for x in likes]

    def block(i: Any) -> Arrays:
        pairs = zip(arrays, step.are_rows, strict=True)
        return step.run(*(x[i] if is_row else x for x, is_row in pairs))

    if isinstance(number, int) and number == 1:
        results = zip(block(0), are_rows, dtypes, strict=True)
        return tuple(tf.cast(x[None] if is_row else x, dtype) for x, is_row, dtype in results)
    start = tuple(
        tf.TensorArray(dtype, number) if is_row else tf.zeros_like(x, step.dtype)
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
