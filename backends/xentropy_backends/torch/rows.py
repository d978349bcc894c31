"""Functions of some rows after the other.

They have derivatives of the same kind, of any order and under every transform, none of which holds
the logits of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from xentropy._types import Arrays

from . import kernels
from .namespace import exact

__all__ = ["OverRows", "Rows", "pull_of", "pushed"]


@dataclass(frozen=True, eq=False)
class Rows:
    """A function of some rows; no tuple, of which PyTorch would make a tree of arguments."""

    f: Callable[..., Arrays]
    arguments: tuple[bool, ...]  # which have an entry a row
    results: tuple[bool, ...]  # the others are added up
    step: int  # rows at a time
    reals: int | None = None  # the first of the results, which have derivatives; None for all
    gradients: Callable[[list[int], Arrays, Arrays], Arrays] | None = None
    """By some arguments, of all and of cotangents, as they are added up; None: by autograd."""


class OverRows(torch.autograd.Function):
    """A function of rows, of some after the other, whose derivatives are such functions too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(rows: Rows, *arrays: Any) -> Any:
        """The results."""
        first = arrays[rows.arguments.index(True)]
        found: list[list[Any]] = [[] for _ in rows.results]
        for start in range(0, max(first.shape[0], 1), rows.step):
            part = slice(start, start + rows.step)
            pairs = zip(arrays, rows.arguments, strict=True)
            some = [x[part] if x is not None and is_row else x for x, is_row in pairs]
            with exact(first):
                results = rows.f(*some)
            for own, is_row, x in zip(found, rows.results, results, strict=True):
                own[:] = [*own, x] if is_row or not own else [_sum(own[0], x, start > rows.step)]
        return tuple(own[0] if len(own) == 1 else torch.cat(own) for own in found)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Keep the arguments."""
        ctx.rows, *arrays = inputs
        ctx.save_for_backward(*arrays)
        ctx.save_for_forward(*arrays)

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        """The gradients, as a function of rows."""
        needed = ctx.needs_input_grad[1:]
        moving = [i for i, need in enumerate(needed) if need]
        cotangents = cotangents[: ctx.rows.reals]
        pulled = iter(OverRows.apply(pull_of(ctx.rows, moving), *ctx.saved_tensors, *cotangents))
        return (None, *(next(pulled) if need else None for need in needed))

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Any:
        """The tangents, as a function of rows."""
        found = pushed(ctx.rows, ctx.saved_tensors, tangents[1:])
        return (*found, *(None for _ in ctx.rows.results[len(found) :]))


def _sum(total: Any, x: Any, is_sum: bool) -> Any:
    """In the memory of the total, if that is a sum already."""
    return total.add_(x) if is_sum and not kernels.transforming() else total + x


def pull_of(rows: Rows, moving: list[int]) -> Rows:
    """The gradients by some arguments, as a function of these and of the cotangents."""
    count = len(rows.arguments)

    def f(*arrays: Any) -> Arrays:
        if rows.gradients is not None and not kernels.transforming():
            return rows.gradients(moving, arrays[:count], arrays[count:])
        moved, primals = _of_some(rows, arrays[:count], moving)
        pull: Any = torch.func.vjp(moved, *primals)[1]
        return tuple(pull(arrays[count:]))

    results = tuple(rows.arguments[i] for i in moving)
    return Rows(f, (*rows.arguments, *rows.results[: rows.reals]), results, rows.step)


def pushed(rows: Rows, primals: Arrays, tangents: Arrays) -> Any:
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
    of_tangents = Rows(f, arguments, rows.results[: rows.reals], rows.step)
    return OverRows.apply(of_tangents, *primals, *(tangents[i] for i in moving))


def _of_some(rows: Rows, arrays: Arrays, moving: list[int]) -> tuple[Callable[..., Arrays], Arrays]:
    """The function of some of its arguments only, and these."""

    def moved(*primals: Any) -> Arrays:
        whole = list(arrays)
        for i, x in zip(moving, primals, strict=True):
            whole[i] = x
        return rows.f(*whole)[: rows.reals]

    return moved, tuple(arrays[i] for i in moving)
