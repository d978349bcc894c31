"""What the calls of all functions of torch have in common: dtypes, reductions, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Array, Case

__all__ = ["GRID", "HOW", "refused", "rng", "softmax"]

HOW = ("none", "sum", "mean")
GRID = {
    "float16": ("mean",),
    "bfloat16": ("none",),
    "float32": ("none", "mean"),
    "float64": ("sum",),
}


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, name)))


def refused(function: str, *calls: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Iterator[Case]:
    for name, args, options in calls:
        yield Case(f"refused-{name}", function, args, options)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    found: Array = e / e.sum(axis=1, keepdims=True)
    return found
