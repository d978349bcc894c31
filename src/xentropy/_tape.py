"""A record of the formulas that a call evaluates, for arrays that do not know their gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeAlias

from ._types import Arrays, Namespace, Options
from .formulas.formula import Formula, vjp

__all__ = ["Pull", "Tape", "active", "record", "recording"]

# ``pull(wanted, cotangent)``: the gradients by the arrays of a step that are wanted.
Pull: TypeAlias = Callable[[tuple[bool, ...], Any], Arrays]


class _Step(NamedTuple):
    formula: Formula
    arrays: Arrays
    output: Any
    pull: Pull


class Tape:
    """The steps of one call, in order; arrays are known by identity and kept alive.

    Parameters
    ----------
    primals : tuple of arrays
        What the gradient is to be taken by.
    reduces : bool
        Whether the call reduces its losses; if not, their cotangent is 1.
    """

    def __init__(self, primals: Arrays, reduces: bool) -> None:
        self._primals = primals
        self._moving = {id(x) for x in primals}
        self._steps: list[tuple[_Step, tuple[bool, ...]]] = []
        self.reduces = reduces

    def wants(self, x: Any) -> bool:
        """Whether the gradient is taken by this array, or by what it was made of."""
        return id(x) in self._moving

    def append(self, step: _Step) -> None:
        """Note a step, and which of its arrays move with the primals."""
        pairs = zip(step.arrays, step.formula.roles.values(), strict=True)
        wanted = tuple(self.wants(x) and role != "constant" for x, role in pairs)
        if any(wanted):
            self._moving.add(id(step.output))
        self._steps.append((step, wanted))

    def gradients(self, output: Any, seed: Any) -> Arrays:
        """Pull ``seed`` from ``output`` back to the primals, in reverse order of the steps."""
        cotangents = {id(output): seed}
        for step, wanted in reversed(self._steps):
            cotangent = cotangents.get(id(step.output))
            if cotangent is None or not any(wanted):
                continue
            pulled = step.pull(wanted, cotangent)
            for array, gradient in zip(step.arrays, pulled, strict=True):
                if gradient is not None:
                    known = cotangents.get(id(array))
                    cotangents[id(array)] = gradient if known is None else known + gradient
        return tuple(cotangents.get(id(x)) for x in self._primals)


_active: ContextVar[Tape | None] = ContextVar("xentropy_tape", default=None)


@contextmanager
def recording(primals: Arrays, reduces: bool) -> Iterator[Tape]:
    """Record every formula that a backend without gradients evaluates in this context."""
    tape = Tape(primals, reduces)
    token = _active.set(tape)
    try:
        yield tape
    finally:
        _active.reset(token)


def active() -> Tape | None:
    """The tape of this context."""
    return _active.get()


def record(
    xp: Namespace,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    output: Any,
    pull: Pull | None = None,
) -> None:
    """Note a step, where somebody is recording."""
    tape = _active.get()
    if tape is None:
        return

    def partials(wanted: tuple[bool, ...], cotangent: Any) -> Arrays:
        return vjp(xp, formula, arrays, options, wanted, cotangent)

    tape.append(_Step(formula, arrays, output, pull or partials))
