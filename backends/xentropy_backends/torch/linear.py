"""The loss of a linear layer in PyTorch: kernels on the CPU, elsewhere some rows after the other.

What is done with some rows after the other has derivatives of the same kind, of any order and under
every transform, none of which holds the logits of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from xentropy._types import Arrays
from xentropy.dispatch import backend_of
from xentropy.formulas import linear as heads
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.softmax import cross_entropy_dense, cross_entropy_index
from xentropy.formulas.statistics import REAL, Request
from xentropy.kernels import linear as on_host

from . import kernels

__all__ = ["losses", "statistics"]


def losses(head: Head, given: Operands) -> Any:
    """The losses, (N,)."""
    if not torch.compiler.is_compiling():
        holding = given.weight.requires_grad and torch.is_grad_enabled()
        return _Linear.apply(_Call(head, holding=holding), *given)
    if kernels.transforming():  # an operator has no rules for the transforms of torch.func
        return _evaluate(head, given)
    return _losses(*given, *_numbers(head))[0]


def _evaluate(head: Head, given: Operands) -> Any:
    """The losses of some rows, as a differentiable function."""
    backend = backend_of(given.hidden)
    return heads.losses(backend.xp, head, given, backend.apply)


def statistics(layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows; compilers see those of all at once."""
    backend = backend_of(given.hidden)
    if torch.compiler.is_compiling():
        return heads.ask(backend.xp, layer, given, request, backend.statistics)
    # First those that have derivatives.
    names = sorted(request.outputs, key=lambda name: name not in REAL)
    asked = request._replace(outputs=tuple(names))

    def f(*part: Any) -> Arrays:
        return heads.ask(backend.xp, layer, Operands(*part), asked, backend.statistics)

    reals, results = sum(name in REAL for name in names), tuple(True for _ in names)
    step = heads.rows_at_once(layer, given)
    found = _OverRows.apply(_Rows(f, given.are_rows(), results, step, reals), *given)
    by_name = dict(zip(names, found, strict=True))
    return tuple(by_name[name] for name in request.outputs)


class _Call:
    """What evaluates one call; it remembers that of the losses for that of the gradients."""

    def __init__(self, head: Head, *, holding: bool = False) -> None:
        self.head, self._holding = head, holding
        self.state: on_host.State | None = None

    def losses(self, given: Operands) -> Any:
        """By the kernels on the CPU, else by the formula."""
        if _are_plain(given):
            with np.errstate(all="ignore"):
                found, self.state = on_host.losses(self.head, _lent(given), holding=self._holding)
            return torch.from_numpy(found)
        return _OverRows.apply(self.rows(given), *given)[0]

    def gradients(self, wanted: tuple[bool, ...], cotangent: Any, given: Operands) -> Arrays:
        """By the operands wanted, None for the others."""
        found: list[Any] = [None] * len(given)
        by_kernel = wanted[:3]
        if any(by_kernel) and _are_plain((*given, cotangent)):
            if self.state is None:
                self.losses(given)
            found[:3] = _pulled(self.state, cotangent, by_kernel)
            wanted = (False, False, False, *wanted[3:])
        moving = [i for i, want in enumerate(wanted) if want]
        if moving:
            pulled = _OverRows.apply(_pull(self.rows(given), moving), *given, cotangent)
            for i, x in zip(moving, pulled, strict=True):
                found[i] = x
        return tuple(found)

    def rows(self, given: Operands) -> _Rows:
        """The losses as a function of some rows."""

        def f(*part: Any) -> Arrays:
            return (_evaluate(self.head, Operands(*part)),)

        return _Rows(f, given.are_rows(), (True,), heads.rows_at_once(self.head.layer, given))


def _are_plain(arrays: Arrays) -> bool:
    """Whether all are memory on the CPU, of dtypes that the kernels know."""
    given = [x for x in arrays if x is not None]
    floats = [x.dtype for x in given if x.is_floating_point()]
    return all(map(kernels.is_plain, given)) and all(d in kernels.MEMORY for d in floats)


def _lent(given: Operands) -> Operands:
    """The same as arrays of NumPy on the same memory, half precision as its bits."""
    weight = given.sample_weight
    if weight is not None and weight.dtype not in (torch.float32, torch.float64):
        given = given._replace(sample_weight=weight.float())
    return Operands(*map(kernels.lend, given))


def _pulled(state: Any, cotangent: Any, wanted: tuple[bool, ...]) -> Arrays:
    with np.errstate(all="ignore"):
        found = on_host.gradients(state, kernels.lend(cotangent), wanted)
    return tuple(None if x is None else kernels.take(x) for x in found)


class _Linear(torch.autograd.Function):
    """The losses; their derivatives of every order are computed from the operands again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(call: _Call, *given: Any) -> Any:
        return call.losses(Operands(*given))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.call, *given = inputs
        ctx.save_for_backward(*given)
        ctx.save_for_forward(*given)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        wanted = tuple(ctx.needs_input_grad[1:])
        given = ctx.saved_tensors
        if not torch.is_grad_enabled():
            return (None, *ctx.call.gradients(wanted, cotangents[0], Operands(*given)))
        found = iter(_Gradients.apply(_Wanted(ctx.call, wanted), cotangents[0], *given))
        return (None, *(next(found) if want else None for want in wanted))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        given = ctx.saved_tensors
        return _pushed(ctx.call.rows(Operands(*given)), given, tangents[1:])[0]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Which gradients of a call."""

    call: _Call
    operands: tuple[bool, ...]

    def rows(self, given: Operands) -> _Rows:
        """The gradients as a function of some rows, and of their cotangents."""
        return _pull(self.call.rows(given), [i for i, want in enumerate(self.operands) if want])


class _Gradients(torch.autograd.Function):
    """The gradients wanted, to be differentiated again."""

    generate_vmap_rule = True

    @staticmethod
    def forward(wanted: _Wanted, cotangent: Any, *given: Any) -> Any:
        found = wanted.call.gradients(wanted.operands, cotangent, Operands(*given))
        return tuple(x for x in found if x is not None)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        wanted, cotangent, *given = inputs
        ctx.rows = wanted.rows(Operands(*given))
        ctx.save_for_backward(*given, cotangent)
        ctx.save_for_forward(*given, cotangent)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        _, *needed = _turned(ctx.needs_input_grad)
        moving = [i for i, need in enumerate(needed) if need]
        pulled = iter(_OverRows.apply(_pull(ctx.rows, moving), *ctx.saved_tensors, *upstream))
        *by_given, by_cotangent = (next(pulled) if need else None for need in needed)
        return (None, by_cotangent, *by_given)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return _pushed(ctx.rows, ctx.saved_tensors, _turned(tangents)[1:])


def _turned(of_arguments: Arrays) -> Arrays:
    """What belongs to the cotangent comes last."""
    first, cotangent, *others = of_arguments
    return (first, *others, cotangent)


# --- some rows after the other ----------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Rows:
    """A function of some rows; no tuple, of which PyTorch would make a tree of arguments."""

    f: Callable[..., Arrays]
    arguments: tuple[bool, ...]  # which have an entry a row
    results: tuple[bool, ...]  # the others are added up
    step: int  # rows at a time
    reals: int | None = None  # the first of the results, which have derivatives; None for all


class _OverRows(torch.autograd.Function):
    """A function of rows, of some after the other, whose derivatives are such functions too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: _Rows, *arrays: Any) -> Any:
        first = arrays[rows.arguments.index(True)]
        found: list[list[Any]] = [[] for _ in rows.results]
        for start in range(0, max(first.shape[0], 1), rows.step):
            part = slice(start, start + rows.step)
            pairs = zip(arrays, rows.arguments, strict=True)
            results = rows.f(*(x[part] if x is not None and is_row else x for x, is_row in pairs))
            for own, is_row, x in zip(found, rows.results, results, strict=True):
                own[:] = [*own, x] if is_row or not own else [own[0] + x]
        return tuple(own[0] if len(own) == 1 else torch.cat(own) for own in found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.rows, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        needed = ctx.needs_input_grad[1:]
        moving = [i for i, need in enumerate(needed) if need]
        cotangents = cotangents[: ctx.rows.reals]
        pulled = iter(_OverRows.apply(_pull(ctx.rows, moving), *ctx.saved_tensors, *cotangents))
        return (None, *(next(pulled) if need else None for need in needed))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        pushed = _pushed(ctx.rows, ctx.saved_tensors, tangents[1:])
        return (*pushed, *(None for _ in ctx.rows.results[len(pushed) :]))


def _pull(rows: _Rows, moving: list[int]) -> _Rows:
    """The gradients by some arguments, as a function of these and of the cotangents."""
    count = len(rows.arguments)

    def f(*arrays: Any) -> Arrays:
        moved, primals = _of_some(rows, arrays[:count], moving)
        pull: Any = torch.func.vjp(moved, *primals)[1]
        return tuple(pull(arrays[count:]))

    results = tuple(rows.arguments[i] for i in moving)
    return _Rows(f, (*rows.arguments, *rows.results[: rows.reals]), results, rows.step)


def _pushed(rows: _Rows, primals: Arrays, tangents: Arrays) -> Any:
    """The tangents of the results."""
    pairs = zip(primals, tangents, strict=True)
    moving = [i for i, (x, t) in enumerate(pairs) if t is not None and x.is_floating_point()]
    count = len(rows.arguments)

    def f(*arrays: Any) -> Arrays:
        moved, held = _of_some(rows, arrays[:count], moving)
        # By the derivative of the gradients, which is linear in cotangents: torch.func.jvp does not
        # nest in forward_ad.dual_level.
        results, pull, *_ = torch.func.vjp(moved, *held)
        push: Any = torch.func.vjp(pull, tuple(map(torch.zeros_like, results)))[1]
        return tuple(push(arrays[count:])[0])

    arguments = (*rows.arguments, *(rows.arguments[i] for i in moving))
    pushed = _Rows(f, arguments, rows.results[: rows.reals], rows.step)
    return _OverRows.apply(pushed, *primals, *(tangents[i] for i in moving))


def _of_some(
    rows: _Rows, arrays: Arrays, moving: list[int]
) -> tuple[Callable[..., Arrays], Arrays]:
    """The function of some of its arguments only, and these."""

    def moved(*primals: Any) -> Arrays:
        whole = list(arrays)
        for i, x in zip(moving, primals, strict=True):
            whole[i] = x
        return rows.f(*whole)[: rows.reals]

    return moved, tuple(arrays[i] for i in moving)


# --- for torch.compile ------------------------------------------------------------------------
#
# It reads no loop over rows: to it both passes are operators.

_OPERANDS = (
    "Tensor hidden, Tensor weight, Tensor? bias, Tensor labels, Tensor? class_weight, "
    "Tensor? class_mask, Tensor? sample_weight, Tensor? keep, bool is_index, float? smoothing, "
    "float? z_loss, float scale, float? softcap, str dtype, int max_memory"
)
_COUNT = len(Operands._fields)


def _numbers(head: Head) -> Arrays:
    """What an operator is told of a head."""
    return (head.is_index, head.smoothing, head.z_loss, *head.layer)


def _taken(arguments: Arrays) -> tuple[_Call, Operands]:
    """The call that an operator was given."""
    is_index, smoothing, z_loss, *layer = arguments[_COUNT:]
    formula = cross_entropy_index if is_index else cross_entropy_dense
    head = Head(Layer(*layer), formula, smoothing, z_loss)
    return _Call(head), Operands(*arguments[:_COUNT])


@torch.library.custom_op(
    "xentropy::linear", mutates_args=(), schema=f"({_OPERANDS}) -> (Tensor, Tensor)"
)
def _losses(*arguments: Any) -> Any:
    """The losses, and what the kernels save for the gradients."""
    call, given = _taken(arguments)
    losses = call.losses(given)
    if call.state is not None:
        return losses, torch.from_numpy(call.state.saved)
    return losses, _saved(given.hidden)


def _saved(hidden: Any) -> Any:
    return hidden.new_zeros((hidden.shape[0], on_host.SAVED), dtype=torch.float64)


@_losses.register_fake
def _(*arguments: Any) -> Any:
    call, given = _taken(arguments)
    dtype = getattr(torch, call.head.layer.dtype)
    return given.hidden.new_empty((given.hidden.shape[0],), dtype=dtype), _saved(given.hidden)


@torch.library.custom_op(
    "xentropy::linear_gradients",
    mutates_args=(),
    schema=f"(bool[] wanted, Tensor saved, Tensor cotangent, {_OPERANDS}) -> Tensor[]",
)
def _gradients(wanted: Any, saved: Any, cotangent: Any, *arguments: Any) -> Any:
    """The gradients wanted."""
    call, given = _taken(arguments)
    if _are_plain((*given, cotangent)):
        call.state = on_host.restored(call.head, _lent(given), saved.numpy())
    found = call.gradients(tuple(wanted), cotangent, given)
    return [x.contiguous() for x in found if x is not None]


@_gradients.register_fake
def _(wanted: Any, saved: Any, cotangent: Any, *arguments: Any) -> Any:
    pairs = zip(arguments[:_COUNT], wanted, strict=True)
    return [x.new_empty(x.shape) for x, want in pairs if want]


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:_COUNT], output[1])
    ctx.numbers = inputs[_COUNT:]


def _backward(ctx: Any, cotangent: Any, _: Any) -> Any:
    *given, saved = ctx.saved_tensors
    wanted = list(ctx.needs_input_grad[:_COUNT])
    found = iter(_gradients(wanted, saved, cotangent, *given, *ctx.numbers))
    return (*(next(found) if want else None for want in wanted), *(None for _ in ctx.numbers))


_losses.register_autograd(_backward, setup_context=_keep)
