"""Linear layers in eager PyTorch: kernels on the CPU, elsewhere some rows after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch

from xentropy._types import Arrays, Options
from xentropy.dispatch import backend_of
from xentropy.formulas import formula as rules
from xentropy.formulas import linear as heads
from xentropy.formulas.formula import Formula
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.statistics import REAL, Request, picked
from xentropy.kernels import linear as on_host
from xentropy.kernels import linear_statistics

from . import kernels
from .layered import Layered
from .namespace import xp
from .rows import OverRows, Rows, pull_of, pushed

__all__ = [
    "LinearCall",
    "are_plain",
    "evaluate",
    "in_order",
    "lent",
    "losses",
    "of_call",
    "statistics",
    "statistics_of_rows",
]


def losses(head: Head, given: Operands) -> Any:
    """The losses, (N,)."""
    recorded = torch.is_grad_enabled()
    wanted = tuple(recorded and x is not None and x.requires_grad for x in given[:3])
    return of_call(LinearCall(head, wanted), given)


def of_call(call: LinearCall, given: Operands) -> Any:
    """The losses of a call, (N,), in every mode and under every transform."""
    return _Linear.apply(call, *given)


def evaluate(head: Head, given: Operands) -> Any:
    """The losses of some rows, as a differentiable function."""
    backend = backend_of(given.hidden)
    return heads.losses(xp, head, given, backend.apply)


def statistics(layer: Layer, given: Operands, request: Request) -> Arrays:
    """Statistics of all rows."""
    asked = in_order(request)
    found = OverRows.apply(statistics_of_rows(layer, given, asked), *given)
    by_name = dict(zip(asked.outputs, found, strict=True))
    return tuple(by_name[name] for name in request.outputs)


def in_order(request: Request) -> Request:
    """The same; those first that have derivatives."""
    names = sorted(request.outputs, key=lambda name: name not in REAL)
    return request._replace(outputs=tuple(names))


def statistics_of_rows(layer: Layer, given: Operands, asked: Request) -> Rows:
    """What is asked for as a function of some rows."""
    backend = backend_of(given.hidden)

    def f(*part: Any) -> Arrays:
        return heads.ask(xp, layer, Operands(*part), asked, backend.statistics)

    def pull(own: Any, z: Any, part: Operands, wanted: Any, cotangents: Arrays) -> Arrays:
        of_names = dict(zip(asked.outputs, cotangents, strict=False))
        return (heads.pull_statistics(xp, layer, part, asked, z, of_names, own),)

    def whole(*given: Any) -> Arrays | None:
        if not are_plain(given) or 0 in given[0].shape:
            return None
        found = linear_statistics.statistics(layer, lent(Operands(*given)), asked)
        return picked({name: torch.from_numpy(x) for name, x in found.items()}, asked.outputs)

    reals = sum(name in REAL for name in asked.outputs)
    pulls, arguments = (partial(pull, _first), partial(pull, _once)), given.are_rows()
    step = heads.rows_at_once(layer, given)
    rows = Layered(layer, f, *pulls, arguments, len(asked.outputs), reals, step).rows()
    return replace(rows, whole=whole)


def _first(formula: Formula, arrays: Arrays, options: Options, cotangent: Any) -> Any:
    """The gradient by logits."""
    return kernels.Kernel(xp, formula, options, None).first_partial(cotangent, *arrays)


def _once(formula: Formula, arrays: Arrays, options: Options, cotangent: Any) -> Any:
    """The same, by a kernel where one serves."""
    return kernels.Kernel(xp, formula, options, None).gradient(cotangent, arrays)


def _all_once(
    formula: Formula, arrays: Arrays, options: Options, wanted: tuple[bool, ...], cotangent: Any
) -> Arrays:
    """The gradients wanted, that by logits by a kernel where one serves."""
    first = _once(formula, arrays, options, cotangent) if wanted[0] else None
    if not any(wanted[1:]):
        return (first, *(None for _ in wanted[1:]))
    wrt = (False, *wanted[1:])
    return (first, *rules.vjp(xp, formula, arrays, options, wrt, cotangent)[1:])


_NONE = Operands(*(None for _ in Operands._fields))


class LinearCall:
    """What evaluates one call; it remembers that of the losses for that of the gradients."""

    def __init__(self, head: Head, wanted: tuple[bool, ...] = ()) -> None:
        self.head, self._wanted = head, wanted
        self.state: on_host.State | None = None

    def losses(self, given: Operands) -> Any:
        """By the kernels on the CPU, else by the formula."""
        if are_plain(given):
            with np.errstate(all="ignore"):
                found, state = on_host.losses(self.head, lent(given), wanted=self._wanted)
            # Autograd keeps the operands, and lets go of them after the backward pass.
            self.state = state._replace(given=_NONE)
            return torch.from_numpy(found)
        return OverRows.apply(self.rows(given), *given)[0]

    def gradients(self, wanted: tuple[bool, ...], cotangent: Any, given: Operands) -> Arrays:
        """By the operands wanted, None for the others."""
        found: list[Any] = [None] * len(given)
        by_kernel = wanted[:3]
        if any(by_kernel) and are_plain((*given, cotangent)):
            if self.state is None:
                self.losses(given)
            assert self.state is not None
            state = self.state._replace(given=lent(given))
            found[:3] = _pulled(state, cotangent, by_kernel)
            wanted = (False, False, False, *wanted[3:])
        moving = [i for i, want in enumerate(wanted) if want]
        if moving:
            pulled = OverRows.apply(pull_of(self.rows(given), moving), *given, cotangent)
            for i, x in zip(moving, pulled, strict=True):
                found[i] = x
        return tuple(found)

    def rows(self, given: Operands) -> Rows:
        """The losses as a function of some rows."""

        def f(*part: Any) -> Arrays:
            return (evaluate(self.head, Operands(*part)),)

        def pull(own: Any, z: Any, part: Operands, wanted: Any, cotangents: Arrays) -> Arrays:
            return heads.pull(xp, self.head, part, z, wanted, cotangents[0], own)

        pulls, arguments = (partial(pull, None), partial(pull, _all_once)), given.are_rows()
        step = heads.rows_at_once(self.head.layer, given)
        return Layered(self.head.layer, f, *pulls, arguments, 1, 1, step).rows()


def are_plain(arrays: Arrays) -> bool:
    """Whether all are memory on the CPU, of dtypes that the kernels know."""
    given = [x for x in arrays if x is not None]
    floats = [x.dtype for x in given if x.is_floating_point()]
    return all(map(kernels.is_plain, given)) and all(d in kernels.MEMORY for d in floats)


def lent(given: Operands) -> Operands:
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
    def forward(call: LinearCall, *given: Any) -> Any:
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
        if not kernels.again():
            return (None, *ctx.call.gradients(wanted, cotangents[0], Operands(*given)))
        found = iter(_Gradients.apply(_Wanted(ctx.call, wanted), cotangents[0], *given))
        return (None, *(next(found) if want else None for want in wanted))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        given = ctx.saved_tensors
        return pushed(ctx.call.rows(Operands(*given)), given, tangents[1:])[0]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """Which gradients of a call."""

    call: LinearCall
    operands: tuple[bool, ...]

    def rows(self, given: Operands) -> Rows:
        """The gradients as a function of some rows, and of their cotangents."""
        return pull_of(self.call.rows(given), [i for i, want in enumerate(self.operands) if want])


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
        pulled = iter(OverRows.apply(pull_of(ctx.rows, moving), *ctx.saved_tensors, *upstream))
        *by_given, by_cotangent = (next(pulled) if need else None for need in needed)
        return (None, by_cotangent, *by_given)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        return pushed(ctx.rows, ctx.saved_tensors, _turned(tangents)[1:])


def _turned(of_arguments: Arrays) -> Arrays:
    """What belongs to the cotangent comes last."""
    first, cotangent, *others = of_arguments
    return (first, *others, cotangent)
