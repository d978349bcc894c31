"""A record of the formulas that a call evaluates, for arrays that do not know their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from ._types import Arrays, Namespace, Options
from .formulas.formula import Formula, vjp

__all__ = ["Tape", "record", "recording"]


class _Step(NamedTuple):
    xp: Namespace
    formula: Formula
    arrays: Arrays
    options: Options
    output: Any


class Tape:
    """The steps of one call, in order; arrays are known by identity and kept alive."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def append(self, step: _Step) -> None:
        self._steps.append(step)

    def gradients(self, output: Any, seed: Any, primals: Arrays) -> Arrays:
        """Pull ``seed`` from ``output`` back to ``primals``, in reverse order of the steps."""
        moving = {id(x) for x in primals}
        wrt = []
        for step in self._steps:
            roles = step.formula.roles.values()
            pairs = zip(step.arrays, roles, strict=True)
            wrt.append(tuple(id(x) in moving and role != "constant" for x, role in pairs))
            if any(wrt[-1]):
                moving.add(id(step.output))
        cotangents = {id(output): seed}
        for step, wanted in zip(reversed(self._steps), reversed(wrt), strict=True):
            cotangent = cotangents.get(id(step.output))
            if cotangent is None or not any(wanted):
                continue
            pulled = vjp(step.xp, step.formula, step.arrays, step.options, wanted, cotangent)
            for array, gradient in zip(step.arrays, pulled, strict=True):
                if gradient is not None:
                    known = cotangents.get(id(array))
                    cotangents[id(array)] = gradient if known is None else known + gradient
        return tuple(cotangents.get(id(x)) for x in primals)


_active: ContextVar[Tape | None] = ContextVar("xentropy_tape", default=None)


@contextmanager
def recording() -> Iterator[Tape]:
    """Record every formula that a backend without gradients evaluates in this context."""
    tape = Tape()
    token = _active.set(tape)
    try:
        yield tape
    finally:
        _active.reset(token)


def record(xp: Namespace, formula: Formula, arrays: Arrays, options: Options, output: Any) -> None:
    """Note a step, where somebody is recording."""
    tape = _active.get()
    if tape is not None:
        tape.append(_Step(xp, formula, arrays, options, output))
