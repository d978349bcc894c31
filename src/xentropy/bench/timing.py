"""Times of functions that are called in turn: A B A B, so that what disturbs one disturbs all."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Effort", "Timed", "Times", "alternate"]

Clock = Callable[[], float]


class Timed(NamedTuple):
    """A function to be timed, and what makes its arguments anew, not timed, for each call."""

    call: Callable[..., Any]
    prepare: Callable[[], tuple[Any, ...]] | None = None

    def once(self) -> Any:
        """Call it."""
        return self.call(*(self.prepare() if self.prepare else ()))


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes
    ----------
    least, most
        Rounds, of a sample of each function.
    seconds
        After which no round more than the least begins.
    sample
        Seconds that a sample takes at least: a short call is repeated in it; with 0 none is.
    warm_up
        Calls of each function before.
    """

    least: int = 7
    most: int = 101
    seconds: float = 1.5
    sample: float = 0.005
    warm_up: int = 2


@dataclass
class Times:
    """The seconds that a call took, by sample, each the mean of `number` calls."""

    number: int = 1
    samples: list[float] = field(default_factory=list)

    def quantile(self, q: float) -> float:
        """Return a quantile of the samples."""
        return float(np.quantile(self.samples, q))

    @property
    def median(self) -> float:
        """The median of the samples."""
        return self.quantile(0.5)


def alternate(
    functions: Sequence[Timed], effort: Effort, clock: Clock = time.perf_counter
) -> list[Times]:
    """Return the times of each function, after calls of each to warm up."""
    for function in [*functions] * effort.warm_up:
        function.once()
    found = [Times(_number(function, effort, clock)) for function in functions]
    start = clock()
    for done in range(effort.most):
        if done >= effort.least and clock() - start >= effort.seconds:
            break
        for function, times in zip(functions, found, strict=True):
            times.samples.append(_sample(function, times.number, clock))
    return found


def _number(function: Timed, effort: Effort, clock: Clock) -> int:
    """The calls that fill a sample; one where each needs arguments of its own."""
    if function.prepare is not None or not effort.sample:
        return 1
    number = 1
    while True:
        seconds = _sample(function, number, clock)
        if number * seconds >= effort.sample / 4:
            return max(1, math.ceil(effort.sample / seconds))
        number *= 4


def _sample(function: Timed, number: int, clock: Clock) -> float:
    arguments = function.prepare() if function.prepare else ()
    call = function.call
    again = itertools.repeat(None, number)
    start = clock()
    if arguments:
        call(*arguments)
    else:
        for _ in again:
            call()
    return (clock() - start) / number
