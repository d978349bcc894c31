"""Functions of some rows after the other.

They have derivatives of the same kind, of any order and under every transform, none of which holds
the logits of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch

from xentropy._types import Arrays

from .namespace import exact

__all__ = ["OverRows", "Products", "Rows", "over_rows", "pull_of", "pushed"]

_DERIVED = 8
"""So many times the arrays of a formula are held by what autograd makes of it."""


@dataclass(frozen=True, eq=False)
class Rows:
    """A function of some rows; no tuple, of which PyTorch would make a tree of arguments."""

    f: Callable[..., tuple[Any, ...]]
    arguments: tuple[bool, ...]  # which have an entry a row
    results: tuple[bool, ...]  # the others are added up
    step: int  # rows at a time
    reals: int | None = None  # the first of the results, which have derivatives; None for all
    pulled: Callable[[list[int]], Rows] | None = None  # by some arguments; None: by autograd
    pushed: Callable[[list[int]], Rows] | None = None  # along some arguments
    whole: Callable[..., Arrays | None] | None = None  # the results of all rows, if by a kernel


class Products(NamedTuple):
    """A sum of products of rows that is only to be added to a sum."""

    pairs: tuple[tuple[Any, Any], ...]

    def added_to(self, total: Any) -> Any:
        """In its memory."""
        for a, b in self.pairs:
            total = a.T @ b if total is None else total.addmm_(a.T, b)
        return total


def over_rows(rows: Rows, arrays: Arrays) -> Arrays:
    """The results of all rows, without derivatives."""
    found = rows.whole(*arrays) if rows.whole else None
    if found is not None:
        return found
    first = arrays[rows.arguments.index(True)]
    n, results = first.shape[0], [_Result(is_row) for is_row in rows.results]
    for start in range(0, max(n, 1), rows.step):
        part = slice(start, start + rows.step)
        pairs = zip(arrays, rows.arguments, strict=True)
        some = [x[part] if x is not None and is_row else x for x, is_row in pairs]
        with exact(first):
            _add(results, rows.f(*some), part, n)
    return tuple(own.whole for own in results)


class OverRows(torch.autograd.Function):
    """A function of rows, of some after the other, whose derivatives are such functions too."""

    @staticmethod
    def forward(rows: Rows, *arrays: Any) -> Any:
        """The results."""
        return over_rows(rows, arrays)

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

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], rows: Rows, *arrays: Any) -> Any:
        """More rows; call by call where what they share is mapped, or rows are added up."""
        dims, count = in_dims[1:], info.batch_size
        given = tuple(zip(arrays, rows.arguments, dims, strict=True))
        if all(rows.results) and not any(d is not None for _, is_row, d in given if not is_row):
            folded = [_folded(x, d, count) if is_row else x for x, is_row, d in given]
            found = OverRows.apply(rows, *folded)
            unfolded = tuple(x.unflatten(0, (count, len(x) // count)) for x in found)
            return unfolded, (0,) * len(found)
        parts = ([x if d is None else x.select(d, i) for x, _, d in given] for i in range(count))
        each = [OverRows.apply(rows, *part) for part in parts]
        return tuple(map(torch.stack, zip(*each, strict=True))), (0,) * len(rows.results)


def _folded(x: Any, dim: int | None, count: int) -> Any:
    """The rows of all that is mapped."""
    if x is None:
        return None
    whole = x.expand(count, *x.shape) if dim is None else x.movedim(dim, 0)
    return whole.flatten(0, 1)


class _Result:
    """A result of all rows: laid one after the other, or added up.

    Into memory that is there before the next rows are read: beside what they leave behind, none of
    which fits between, an allocator would keep the logits of all.
    """

    def __init__(self, is_row: bool) -> None:
        self._is_row, self._is_sum = is_row, False
        self.whole: Any = None

    def add(self, x: Any, part: slice, n: int) -> None:
        if isinstance(x, Products):
            self.whole = x.added_to(self.whole)
        elif self.whole is None:
            is_all = not self._is_row or x.shape[0] == n
            self.whole = x if is_all else x.new_empty((n, *x.shape[1:]))
            if not is_all:
                self.whole[part] = x
        elif self._is_row:
            self.whole[part] = x
        else:
            # Not in the memory of the first, which may be another's.
            self.whole = self.whole.add_(x) if self._is_sum else self.whole + x
            self._is_sum = True


def _add(found: list[_Result], results: Arrays, part: slice, n: int) -> None:
    for own, x in zip(found, results, strict=True):
        own.add(x, part, n)


def pull_of(rows: Rows, moving: list[int]) -> Rows:
    """The gradients by some arguments, as a function of these and of the cotangents."""
    if rows.pulled is not None:
        return rows.pulled(moving)
    count = len(rows.arguments)

    def f(*arrays: Any) -> Arrays:
        moved, primals = _of_some(rows, arrays[:count], moving)
        pull: Any = torch.func.vjp(moved, *primals)[1]
        return tuple(pull(arrays[count:]))

    results, step = tuple(rows.arguments[i] for i in moving), max(1, rows.step // _DERIVED)
    return Rows(f, (*rows.arguments, *rows.results[: rows.reals]), results, step)


def pushed(rows: Rows, primals: Arrays, tangents: Arrays) -> Any:
    """The tangents of the results."""
    if rows.reals == 0:
        return ()
    pairs = zip(primals, tangents, strict=True)
    moving = [i for i, (x, t) in enumerate(pairs) if t is not None and x.is_floating_point()]
    of_tangents = (rows.pushed or _pushed(rows))(moving)
    return OverRows.apply(of_tangents, *primals, *(tangents[i] for i in moving))


def _pushed(rows: Rows) -> Callable[[list[int]], Rows]:
    count = len(rows.arguments)

    def along(moving: list[int]) -> Rows:
        def f(*arrays: Any) -> Arrays:
            moved, held = _of_some(rows, arrays[:count], moving)
            # By the derivative of the gradients, which is linear in cotangents: torch.func.jvp does
            # not nest in forward_ad.dual_level.
            results, pull, *_ = torch.func.vjp(moved, *held)
            push: Any = torch.func.vjp(pull, tuple(map(torch.zeros_like, results)))[1]
            return tuple(push(arrays[count:])[0])

        arguments = (*rows.arguments, *(rows.arguments[i] for i in moving))
        return Rows(f, arguments, rows.results[: rows.reals], max(1, rows.step // _DERIVED))

    return along


def _of_some(rows: Rows, arrays: Arrays, moving: list[int]) -> tuple[Callable[..., Arrays], Arrays]:
    """The function of some of its arguments only, and these."""

    def moved(*primals: Any) -> Arrays:
        whole = list(arrays)
        for i, x in zip(moving, primals, strict=True):
            whole[i] = x
        return rows.f(*whole)[: rows.reals]

    return moved, tuple(arrays[i] for i in moving)
