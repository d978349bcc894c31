"""Functions of a linear layer by rows: their derivatives up to the second are products again.

No product of all classes and features is held beside the sum that it is added to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from xentropy._types import Arrays
from xentropy.formulas import linear as heads
from xentropy.formulas.linear import Layer, Operands

from . import kernels
from .namespace import xp
from .rows import Products, Rows, over_rows

__all__ = ["Layered"]

_COUNT = len(Operands._fields)
_HIDDEN, _WEIGHT, _BIAS, *_OTHERS = range(_COUNT)
_BY_FORMULA, _BY_AUTOGRAD = 6, 16
"""So many times the arrays of a kernel are held by a formula, and by what autograd makes of it."""

_Pull = Callable[[Any, Operands, tuple[bool, ...], Arrays], Arrays]


@dataclass(frozen=True, eq=False)
class Layered:
    """A function of a layer and of its other operands.

    It is known by its gradients ``pull(z, part, wanted, cotangents)`` by the product ``z`` and by
    the others; ``once`` may be faster, and is not differentiated.
    """

    layer: Layer
    f: Callable[..., Arrays]
    pull: _Pull
    once: _Pull
    arguments: tuple[bool, ...]  # of the operands, which have an entry a row
    results: int
    reals: int  # the first of the results, which have derivatives
    step: int

    def rows(self) -> Rows:
        """It as a function of some rows."""
        results = (True,) * self.results
        return Rows(
            self.f, self.arguments, results, self.step, self.reals, self._pulled, self._pushed
        )

    @property
    def _given(self) -> tuple[bool, ...]:
        """The same of the operands and the cotangents; what is kept may be found out only here."""
        return (*self.arguments[:-1], True, *(True for _ in range(self.reals)))

    def _pulled(self, moving: list[int]) -> Rows:
        def f(*arrays: Any) -> Arrays:
            return self._gradients(arrays, moving)

        results = tuple(self._given[i] for i in moving)
        pulled, pushed = partial(self._pulled_again, moving), partial(self._pushed_again, moving)
        return Rows(f, self._given, results, self.step, None, pulled, pushed)

    def _pushed(self, along: list[int]) -> Rows:
        def f(*arrays: Any) -> Arrays:
            part, tangents = Operands(*arrays[:_COUNT]), arrays[_COUNT:]
            zeros = part.hidden.new_zeros(part.hidden.shape[0], dtype=getattr(xp, self.layer.dtype))
            moving, by = dict(zip(along, tangents, strict=True)), range(_COUNT, len(self._given))
            return self._again((*part, *(zeros for _ in by)), moving, list(by))

        arguments = (*self.arguments, *(self.arguments[i] for i in along))
        return Rows(f, arguments, self._given[_COUNT:], self.step)

    def _pulled_again(self, moving: list[int], by: list[int]) -> Rows:
        count = len(self._given)

        def f(*arrays: Any) -> Arrays:
            return self._again(arrays[:count], dict(zip(moving, arrays[count:], strict=True)), by)

        arguments = (*self._given, *(self._given[i] for i in moving))
        return Rows(f, arguments, tuple(self._given[i] for i in by), self.step)

    def _pushed_again(self, moving: list[int], along: list[int]) -> Rows:
        count = len(self._given)

        def f(*arrays: Any) -> Arrays:
            given, tangents = arrays[:count], dict(zip(along, arrays[count:], strict=True))
            of_operands = {i: t for i, t in tangents.items() if i < _COUNT}
            # The second derivatives are symmetric; in the cotangents the gradients are linear.
            terms = [self._again(given, of_operands, moving)] if of_operands else []
            if len(of_operands) < len(tangents):
                pairs = enumerate(given[_COUNT:], _COUNT)
                moved = tuple(tangents.get(i, torch.zeros_like(c)) for i, c in pairs)
                terms.append(self._gradients((*given[:_COUNT], *moved), moving))
            return terms[0] if len(terms) == 1 else tuple(map(_plus, *terms))

        arguments = (*self._given, *(self._given[i] for i in along))
        return Rows(f, arguments, tuple(self._given[i] for i in moving), self.step)

    def _gradients(self, given: Arrays, moving: list[int]) -> Arrays:
        """By some operands."""
        part, of_product, asked = *self._product(given), _of_product(moving)

        def f(*arrays: Any) -> Arrays:
            return _only(asked, self.once, arrays)

        few = self._few(f, self._given, asked, _BY_FORMULA)
        found = dict(zip(asked, _over(few, of_product), strict=True))
        return tuple(found[i] if i > _BIAS else self._by(i, part, found[_HIDDEN]) for i in moving)

    def _again(self, given: Arrays, along: dict[int, Any], by: list[int]) -> Arrays:
        """The derivatives, by operands or cotangents, of what ``along`` makes of the gradients."""
        part, of_product = self._product(given)
        if _HIDDEN in along and part.keep is not None:
            along = {**along, _HIDDEN: xp.where(part.keep[:, None], along[_HIDDEN], 0.0)}
        asked, moving, count = _of_product(along), _of_product(by), len(self._given)
        directions = [self._direction(part, along) if i == _HIDDEN else along[i] for i in asked]

        def f(*arrays: Any) -> Arrays:
            def gradients(*primals: Any) -> Arrays:
                whole = dict(enumerate(arrays[:count])) | dict(zip(moving, primals, strict=True))
                return _only(asked, self.pull, tuple(whole.values()))

            values, pull, *_ = torch.func.vjp(gradients, *(arrays[i] for i in moving))
            pairs = zip(arrays[count:], values, strict=True)
            pulled = pull(tuple(x.to(value.dtype) for x, value in pairs))
            return (*pulled, values[0]) if is_mixed else pulled

        is_mixed = (_HIDDEN in by and _WEIGHT in along) or (_WEIGHT in by and _HIDDEN in along)
        arguments = (*self._given, *(self._given[i] for i in asked))
        few = self._few(f, arguments, [*moving, *([_HIDDEN] if is_mixed else [])], _BY_AUTOGRAD)
        results = _over(few, (*of_product, *directions))
        found, g = dict(zip(moving, results, strict=False)), results[-1]
        return tuple(
            found[i] if i > _BIAS else self._by(i, part, found[_HIDDEN], g, along) for i in by
        )

    def _product(self, given: Arrays) -> tuple[Operands, Arrays]:
        """The operands, without what is left out, and the same with the product for the layer."""
        part = heads.shown(xp, Operands(*given[:_COUNT]))
        z = heads.product(xp, self.layer, part.hidden, part.weight, part.bias)
        return part, (z, None, None, *part[_BIAS + 1 :], *given[_COUNT:])

    def _few(self, f: Any, arguments: tuple[bool, ...], results: list[int], held: int) -> Rows:
        """What holds so many arrays of the size of the product."""
        step = max(1, self.step // held)
        return Rows(f, arguments, tuple(self._given[i] for i in results), step)

    def _direction(self, part: Operands, along: dict[int, Any]) -> Any:
        """What the product moves by."""
        dtype, terms = getattr(xp, self.layer.dtype), []
        if _HIDDEN in along:
            terms.append(xp.matmul(along[_HIDDEN], part.weight, dtype, "b"))
        if _WEIGHT in along:
            terms.append(xp.matmul(part.hidden, along[_WEIGHT], dtype, "b"))
        if _BIAS in along:
            shape = part.hidden.shape[0], part.weight.shape[0]
            terms.append(along[_BIAS].to(dtype).expand(shape))
        return sum(terms[1:], start=terms[0])

    def _by(self, i: int, part: Operands, k: Any, g: Any = None, along: Any = ()) -> Any:
        """The gradient by the hidden rows, the weight or the bias.

        Of ``k`` by the product and, where they moved ``along`` something, of ``g``.
        """
        dtype = getattr(xp, self.layer.dtype)
        if i == _BIAS:
            return xp.sum(k, axis=0, keepdims=False)
        if i == _HIDDEN:
            found = xp.matmul(k, part.weight, dtype)
            return found + xp.matmul(g, along[_WEIGHT], dtype) if _WEIGHT in along else found
        pairs = [(k, part.hidden.to(dtype))]
        if _HIDDEN in along:
            pairs.append((g, along[_HIDDEN].to(dtype)))
        if not kernels.transforming():
            return Products(tuple(pairs))
        return sum(xp.matmul(a, b, dtype, "a") for a, b in pairs)


def _of_product(moving: Any) -> list[int]:
    """The same with the product, in the place of the first, for what the layer multiplies."""
    return sorted({_HIDDEN if i <= _BIAS else i for i in moving})


def _only(asked: list[int], pull: _Pull, arrays: Arrays) -> Arrays:
    """The gradients that are asked for."""
    z, part, cotangents = arrays[0], Operands(*arrays[:_COUNT]), arrays[_COUNT:]
    wanted = tuple(i in asked for i in (_HIDDEN, *_OTHERS))
    return tuple(x for x in pull(z, part, wanted, cotangents) if x is not None)


def _over(rows: Rows, arrays: Arrays) -> Arrays:
    """Of all rows at once where somebody differentiates, and nothing can be written to."""
    return rows.f(*arrays) if kernels.transforming() else over_rows(rows, arrays)


def _plus(a: Any, b: Any) -> Any:
    return Products(a.pairs + b.pairs) if isinstance(a, Products) else a + b
