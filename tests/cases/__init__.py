"""The calls under test as data: a loss, its inputs and options, and what to differentiate by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import divergence, focal, half, normalization, probability, regression, sigmoid, softmax
from .case import Array, Case, compute_dtype, narrow, need_dtype, own_gradient, rng, single

__all__ = [
    "CASES",
    "Array",
    "Case",
    "compute_dtype",
    "named",
    "narrow",
    "need_dtype",
    "own_gradient",
    "rng",
    "select",
    "single",
]

CASES: list[Case] = [
    *softmax.cases(),
    *focal.softmax_cases(),
    *divergence.cases(),
    *probability.cases(),
    *sigmoid.cases(),
    *focal.sigmoid_cases(),
    *regression.cases(),
    *normalization.cases(),
    *half.cases(),
]


def select(wanted: Callable[[Case], bool] = lambda case: True) -> list[Any]:
    """Return the cases and dtypes that a test is to be parametrized with."""
    return [(case, dtype) for case in CASES if wanted(case) for dtype in case.dtypes]


def named(*names: str) -> list[Case]:
    """Return the cases of these names."""
    by_name = {case.name: case for case in CASES}
    return [by_name[name] for name in names]
