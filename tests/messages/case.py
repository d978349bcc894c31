"""What a wrong call and its message are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

import xentropy
from xentropy.testing import Harness

__all__ = ["Case", "Make", "cases", "losses", "sparse"]

# Called as no type checker would let anybody.
losses: Any = xentropy
sparse: Any = xentropy.sparse_softmax_cross_entropy


class Make:
    """Arrays of the backend under test."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    def __call__(self, *shape: int, dtype: Any = np.float32) -> Any:
        return self.harness.array(np.zeros(shape, dtype))

    def of(self, values: Any, dtype: Any = np.int64) -> Any:
        return self.harness.array(np.array(values, dtype))


class Case(NamedTuple):
    """A wrong call and all that is said about it."""

    error: type[Exception]
    call: Callable[[Make], Any]
    text: str


def cases(error: type[Exception], rows: Iterable[tuple[Callable[[Make], Any], str]]) -> list[Case]:
    """Return the cases of one error."""
    return [Case(error, call, text) for call, text in rows]
