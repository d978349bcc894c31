"""Linear layers for torch.compile, which reads no loop over rows: its passes are operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.autograd import forward_ad

from xentropy._types import Arrays, Options
from xentropy.dispatch import message
from xentropy.errors import UnsupportedError
from xentropy.formulas import formula as rules
from xentropy.formulas import linear as heads
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.softmax import cross_entropy_dense, cross_entropy_index
from xentropy.formulas.statistics import REAL, Request, evaluate
from xentropy.kernels import linear as on_host

from . import kernels
from .linear import LinearCall, are_plain, in_order, lent, statistics_of_rows
from .namespace import followed
from .rows import OverRows, Rows, pull_of

__all__ = ["losses", "statistics"]


def losses(head: Head, given: Operands) -> Any:
    """The losses, (N,)."""
    if kernels.transforming():
        # An operator has no rules for the transforms of torch.func, and what stands for a rule in
        # compiled code is not mapped.
        return heads.losses(followed, head, given)
    _refuse_tangents("linear_cross_entropy")
    return _losses(*given, head.is_index, head.smoothing, head.z_loss, *head.layer)[0]


def statistics(layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows."""
    if kernels.transforming():
        return heads.ask(followed, layer, given, request, _by_formulas)
    _refuse_tangents("linear_softmax_statistics")
    names = in_order(request).outputs
    found = dict(zip(names, _statistics(*given, *layer, list(names), request.k), strict=True))
    return tuple(found[name] for name in request.outputs)


def _refuse_tangents(call: str) -> None:
    """An operator has none: https://github.com/pytorch/pytorch/pull/131116."""
    if forward_ad._current_level >= 0:
        rule = "torch.compile pushes no tangents of torch.autograd.forward_ad through operators."
        hint = "call torch.func.jvp inside of what is compiled."
        raise UnsupportedError(message(call, rule, {}, hint))


def _by_formulas(request: Request) -> Arrays:
    def value(formula: Formula, arrays: Arrays, options: Options) -> Any:
        return rules.value(followed, formula, arrays, options)

    return evaluate(value, followed, request)


_OPERANDS = (
    "Tensor hidden, Tensor weight, Tensor? bias, Tensor? labels, Tensor? class_weight, "
    "Tensor? class_mask, Tensor? sample_weight, Tensor? keep"
)
_COUNT = len(Operands._fields)
_LAYER = "float? scale, float? softcap, str dtype, int max_memory"
_OF_HEAD = f"({_OPERANDS}, bool is_index, float? smoothing, float? z_loss, {_LAYER})"
_OF_ROWS = f"({_OPERANDS}, {_LAYER}, str[] outputs, int k)"
_GRADIENTS = "(bool[] wanted, Tensor[] saved, "


def _wanted_of(wanted: Any, saved: Any, *arguments: Any) -> Any:
    """What the gradients look like."""
    pairs = zip(arguments[:_COUNT], wanted, strict=True)
    return [x.new_empty(x.shape) for x, want in pairs if want]


def _gradients_by(gradients: Any, ctx: Any, saved: list[Any]) -> Any:
    """Those of the arguments of an operator."""
    given, others = ctx.saved_tensors[:_COUNT], ctx.others
    wanted = list(ctx.needs_input_grad[:_COUNT])
    found = iter(gradients(wanted, saved, *given, *others))
    return (*(next(found) if want else None for want in wanted), *(None for _ in others))


def _differentiate(gradients: Any, rows_of: Callable[[Arrays], Rows]) -> None:
    """Let the gradients be differentiated again, by the formulas."""

    def keep(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.wanted, saved, *arguments = inputs
        ctx.others = arguments[_COUNT:]
        ctx.save_for_backward(*arguments[:_COUNT], *saved)

    def backward(ctx: Any, upstream: Any) -> Any:
        given, saved = ctx.saved_tensors[:_COUNT], ctx.saved_tensors[_COUNT:]
        rows = rows_of((*given, *ctx.others))
        cotangents = saved[: len(rows.results[: rows.reals])]
        pull = pull_of(rows, [i for i, want in enumerate(ctx.wanted) if want])
        _, of_saved, *needed = ctx.needs_input_grad[: 2 + _COUNT]
        needed += of_saved[: len(cotangents)]
        again = pull_of(pull, [i for i, need in enumerate(needed) if need])
        pulled = iter(OverRows.apply(again, *given, *cotangents, *upstream))
        found = [next(pulled) if need else None for need in needed]
        rest = [None for _ in saved[len(cotangents) :]]
        return (None, [*found[_COUNT:], *rest], *found[:_COUNT], *(None for _ in ctx.others))

    gradients.register_autograd(backward, setup_context=keep)


# --- losses -----------------------------------------------------------------------------------


def _called(arguments: Arrays) -> tuple[LinearCall, Operands]:
    """The call that an operator was given."""
    is_index, smoothing, z_loss, *layer = arguments[_COUNT:]
    formula = cross_entropy_index if is_index else cross_entropy_dense
    head = Head(Layer(*layer), formula, smoothing, z_loss)
    return LinearCall(head), Operands(*arguments[:_COUNT])


@torch.library.custom_op(
    "xentropy::linear", mutates_args=(), schema=f"{_OF_HEAD} -> (Tensor, Tensor)"
)
def _losses(*arguments: Any) -> Any:
    """The losses, and what the kernels save for the gradients."""
    call, given = _called(arguments)
    losses = call.losses(given)
    if call.state is not None:
        return losses, torch.from_numpy(call.state.saved)
    return losses, _saved(given.hidden)


def _saved(hidden: Any) -> Any:
    return hidden.new_zeros((hidden.shape[0], on_host.SAVED), dtype=torch.float64)


@_losses.register_fake
def _(*arguments: Any) -> Any:
    call, given = _called(arguments)
    dtype = getattr(torch, call.head.layer.dtype)
    return given.hidden.new_empty((given.hidden.shape[0],), dtype=dtype), _saved(given.hidden)


@torch.library.custom_op(
    "xentropy::linear_gradients",
    mutates_args=(),
    schema=f"{_GRADIENTS}{_OF_HEAD[1:]} -> Tensor[]",
)
def _gradients(wanted: Any, saved: Any, *arguments: Any) -> Any:
    """The gradients wanted, of the cotangent and of what the kernels saved."""
    (call, given), (cotangent, kept) = _called(arguments), saved
    if are_plain((*given, cotangent)):
        call.state = on_host.restored(call.head, lent(given), kept.numpy())
    found = call.gradients(tuple(wanted), cotangent, given)
    # Sums are wider than half precision.
    pairs = zip(found, given, strict=True)
    return [x.to(like.dtype).contiguous() for x, like in pairs if x is not None]


_gradients.register_fake(_wanted_of)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:_COUNT], output[1])
    ctx.others = inputs[_COUNT:]


def _backward(ctx: Any, cotangent: Any, _: Any) -> Any:
    return _gradients_by(_gradients, ctx, [cotangent, ctx.saved_tensors[-1]])


_losses.register_autograd(_backward, setup_context=_keep)


def _rows_of_losses(arguments: Arrays) -> Rows:
    call, given = _called(arguments)
    return call.rows(given)


_differentiate(_gradients, _rows_of_losses)


# --- statistics -------------------------------------------------------------------------------


def _asked(arguments: Arrays) -> tuple[Layer, Operands, Request]:
    """The question that an operator was given."""
    *layer, outputs, k = arguments[_COUNT:]
    whole = Layer(*layer)
    request = Request(None, None, None, None, -1, whole.dtype, None, tuple(outputs), k)
    return whole, Operands(*arguments[:_COUNT]), request


@torch.library.custom_op(
    "xentropy::linear_statistics", mutates_args=(), schema=f"{_OF_ROWS} -> Tensor[]"
)
def _statistics(*arguments: Any) -> Any:
    """What is asked for; those first that have derivatives."""
    layer, given, asked = _asked(arguments)
    return list(OverRows.apply(statistics_of_rows(layer, given, asked), *given))


@_statistics.register_fake
def _(*arguments: Any) -> Any:
    layer, given, asked = _asked(arguments)
    count = given.hidden.shape[0]
    dtypes = {"rank": torch.int64, "correct": torch.bool, "top_k": torch.int64}
    real = getattr(torch, layer.dtype)
    shapes = [(count, asked.k) if name == "top_k" else (count,) for name in asked.outputs]
    pairs = zip(shapes, asked.outputs, strict=True)
    return [given.hidden.new_empty(s, dtype=dtypes.get(name, real)) for s, name in pairs]


@torch.library.custom_op(
    "xentropy::linear_statistics_gradients",
    mutates_args=(),
    schema=f"{_GRADIENTS}{_OF_ROWS[1:]} -> Tensor[]",
)
def _gradients_of_statistics(wanted: Any, cotangents: Any, *arguments: Any) -> Any:
    """The gradients wanted, of the cotangents of what has derivatives."""
    layer, given, asked = _asked(arguments)
    moving = [i for i, want in enumerate(wanted) if want]
    pull = pull_of(statistics_of_rows(layer, given, asked), moving)
    found = OverRows.apply(pull, *given, *cotangents)
    # Sums are wider than half precision.
    return [x.to(given[i].dtype).contiguous() for i, x in zip(moving, found, strict=True)]


_gradients_of_statistics.register_fake(_wanted_of)


def _keep_all(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:_COUNT])
    ctx.others = inputs[_COUNT:]
    ctx.like = [(x.shape, x.dtype) for x in output]


def _backward_of_statistics(ctx: Any, cotangents: Any) -> Any:
    hidden, names = ctx.saved_tensors[0], ctx.others[-2]
    real = [c for name, c in zip(names, cotangents, strict=True) if name in REAL]
    whole = [
        hidden.new_zeros(shape, dtype=dtype) if c is None else c
        for c, (shape, dtype) in zip(real, ctx.like, strict=False)
    ]
    return _gradients_by(_gradients_of_statistics, ctx, whole)


_statistics.register_autograd(_backward_of_statistics, setup_context=_keep_all)


def _rows_of_statistics(arguments: Arrays) -> Rows:
    layer, given, asked = _asked(arguments)
    return statistics_of_rows(layer, given, asked)


_differentiate(_gradients_of_statistics, _rows_of_statistics)
