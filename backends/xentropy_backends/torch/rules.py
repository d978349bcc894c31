"""Formulas as autograd functions, for the modes and transforms of PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

from xentropy._types import Arrays, Options
from xentropy.dispatch import backend_of
from xentropy.formulas import formula as rules
from xentropy.formulas.formula import Formula
from xentropy.kernels import plain

from . import kernels
from .namespace import xp

__all__ = ["EagerRule", "Plain", "PlainRule", "Rule"]


def _wanted(formula: Formula, needed: Iterable[bool]) -> tuple[bool, ...]:
    """Which gradients are needed of those that there are."""
    pairs = zip(needed, formula.roles.values(), strict=True)
    return tuple(need and role != "constant" for need, role in pairs)


class Rule(torch.autograd.Function):
    """A formula whose derivative are its partials, for torch.compile.

    It refuses to read a function with forward mode (graph break GB0144).
    """

    @staticmethod
    def forward(formula: Formula, options: Options, *arrays: Any) -> Any:
        return rules.value(xp, formula, arrays, options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.formula, ctx.options, *arrays = inputs
        ctx.save_for_backward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        # Inside torch.func outputs of other rules seem to need no gradient: all are computed, and
        # the compiler drops those that nobody wants.
        wrt = _wanted(ctx.formula, [x is not None for x in ctx.saved_tensors])
        call = (ctx.formula, ctx.saved_tensors, ctx.options)
        return (None, None, *rules.vjp(xp, *call, wrt, cotangents[0]))


class EagerRule(torch.autograd.Function):
    """A formula whose derivative are its partials, in every mode and under every transform."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: kernels.Kernel, saving: bool, *arrays: Any) -> Any:
        return kernel.value(saving, arrays)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel, _, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        kernel, arrays = ctx.kernel, _arrays(ctx)
        wrt, first = _wanted(kernel.formula, ctx.needs_input_grad[2:]), None
        if wrt[0]:
            # Differentiated again only where somebody may: the rule costs as much as a small call.
            again = kernels.again()
            x, *others = arrays
            if next(iter(kernel.formula.roles.values())) == "summands":
                # A sum has the same gradient whatever they are: nothing is pulled through them.
                x = x.detach()
            first = (_Gradient.apply if again else _gradient)(kernel, cotangents[0], x, *others)
        wrt, pulled = (False, *wrt[1:]), (None,) * len(arrays)
        if any(wrt):
            call = (kernel.formula, arrays, kernel.options)
            pulled = rules.vjp(xp, *call, wrt, cotangents[0])
        return (None, None, first, *pulled[1:])

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        formula = ctx.kernel.formula
        moving = tuple(
            None if role == "constant" else t
            for t, role in zip(tangents[2:], formula.roles.values(), strict=True)
        )
        call = (xp, formula, _arrays(ctx), ctx.kernel.options)
        found = rules.jvp(*call, moving)
        # PyTorch takes no None for a zero: it asserts that the tangent is floating.
        return torch.zeros_like(rules.value(*call)) if found is None else found


class PlainRule(torch.autograd.Function):
    """The same outside torch.func, where no signature is inspected: 80 us of a small call.

    https://github.com/pytorch/pytorch/blob/v2.13.0/torch/autograd/function.py#L600
    """

    @staticmethod
    def forward(ctx: Any, kernel: kernels.Kernel, saving: bool, *arrays: Any) -> Any:
        ctx.kernel = kernel
        result = kernel.value(saving, arrays)
        ctx.save_for_backward(*arrays, kernel.hand_over())
        ctx.save_for_forward(*arrays)
        return result

    backward = EagerRule.backward
    jvp = EagerRule.jvp


def _arrays(ctx: Any) -> Arrays:
    """Those of the formula, of what is saved."""
    saved: Arrays = ctx.saved_tensors
    return saved[: len(ctx.kernel.formula.roles)]


def _gradient(kernel: kernels.Kernel, cotangent: Any, *arrays: Any) -> Any:
    return kernel.gradient(cotangent, arrays)


class _Gradient(torch.autograd.Function):
    """The gradient by the first argument; its own derivatives are those of the formula."""

    generate_vmap_rule = True

    @staticmethod
    def forward(kernel: kernels.Kernel, cotangent: Any, *arrays: Any) -> Any:
        return kernel.gradient(cotangent, arrays)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.kernel, *tensors = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *upstream: Any) -> Any:
        needed = [i for i, need in enumerate(ctx.needs_input_grad[1:]) if need]
        f, primals = _as_function(ctx, needed)
        pulled = dict(zip(needed, torch.func.vjp(f, *primals)[1](upstream[0]), strict=True))
        return (None, *(pulled.get(i) for i in range(len(ctx.saved_tensors))))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        moving = [i for i, t in enumerate(tangents[1:]) if t is not None]
        f, primals = _as_function(ctx, moving)
        # By the derivative of the gradients, which is linear in cotangents: torch.func.jvp does not
        # nest in forward_ad.dual_level.
        result, pull, *_ = torch.func.vjp(f, *primals)
        push: Any = torch.func.vjp(pull, torch.zeros_like(result))[1]
        return push(tuple(tangents[1 + i] for i in moving))[0]


def _as_function(ctx: Any, moving: list[int]) -> tuple[Callable[..., Any], Arrays]:
    """The gradient as a function of some of the saved tensors, and these."""

    def f(*primals: Any) -> Any:
        tensors = list(ctx.saved_tensors)
        for i, x in zip(moving, primals, strict=True):
            tensors[i] = x
        return ctx.kernel.first_partial(*tensors)

    return f, tuple(ctx.saved_tensors[i] for i in moving)


class Plain(torch.autograd.Function):
    """A plain cross-entropy whose gradient came with it; other derivatives are the formulas'."""

    @staticmethod
    def forward(ctx: Any, x: Any, labels: Any, reduction: str, result: Any, gradient: Any) -> Any:
        ctx.save_for_backward(x, labels)
        ctx.reduction, ctx.early = reduction, [gradient]
        return result

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        (cotangent,) = cotangents
        again = kernels.again()
        if ctx.early and not again and _is_one(cotangent):
            return (ctx.early.pop(), *_NO_GRADIENTS)
        x, labels = ctx.saved_tensors
        with torch.enable_grad():
            x = x if again else x.detach().requires_grad_()
            result = _plain_by_formulas(x, labels, ctx.reduction)
            found = torch.autograd.grad(result, x, cotangent, create_graph=again)
        return (*found, *_NO_GRADIENTS)


def _is_one(cotangent: Any) -> bool:
    if not kernels.is_plain(cotangent):
        return False
    return bool(cotangent.item() == 1 if cotangent.ndim == 0 else (cotangent == 1).all())


_NO_GRADIENTS = (None,) * 4


def _plain_by_formulas(x: Any, labels: Any, reduction: str) -> Any:
    dtype = "float64" if x.dtype == torch.float64 else "float32"
    return plain.by_formulas(backend_of(x).apply, x, labels.unsqueeze(-1), reduction, dtype)
