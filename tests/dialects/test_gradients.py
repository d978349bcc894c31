"""Gradients by arguments that the grid does not differentiate by: targets, weights, parameters.

They are compared with differences of the truth, where these settle.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.dialects import case as cases
from tests.dialects.case import Array, Case
from tests.dialects.test_grid import ALL, converted, need_dtypes, numpy
from xentropy import dialects
from xentropy.testing import Harness

STEP = np.longdouble(1e-6)
# What an original documents as a constant, and what it differentiates by beyond a bound.
CONSTANT = {("tensorflow.v1.losses.softmax_cross_entropy", 0)}
BEYOND = {("torch.GaussianNLLLoss", 2)}


def _places(dialect: str, case: Case) -> list[int | str]:
    """The arguments, by position or name, that are float32 arrays and not in ``case.wrt``."""
    return [
        k
        for k, x in given(case).items()
        if isinstance(x, np.ndarray) and x.dtype == np.float32 and x.size and k not in case.wrt
        # The classes of Keras, and with them their truth, round what they are given.
        if not (dialect == "keras" and case.call is not None and k == 0)
    ]


def _calls() -> list[tuple[str, Case, int | str]]:
    found = []
    there = {dialect: cases.recorded(dialect) for dialect in dialects.DIALECTS}
    for dialect, case in ALL:
        value = there[dialect][str(case)].value
        floats = [x for x in case.arrays() if x.dtype.kind not in "iubOU"]
        if value is None or not np.isfinite(value.astype(float)).all():
            continue
        if {x.dtype.name for x in floats} == {"float32"} and all(
            np.isfinite(x).all() for x in floats
        ):
            places = _places(dialect, case)
            found += [
                (dialect, case, k)
                for k in places
                if (f"{dialect}.{case.function}", k) not in BEYOND
            ]
    return found


def given(case: Case) -> dict[int | str, Any]:
    """The arguments of a call by position and name."""
    named = case.options if case.call is None else case.call
    found: dict[int | str, Any] = dict(enumerate(case.args))
    found.update(named)
    return found


def moved(case: Case, k: int | str, at: tuple[int, ...], step: Any) -> Case:
    """The same call with one entry of one argument moved, in more digits."""
    x = given(case)[k].astype(np.longdouble)
    x[at] += step
    if isinstance(k, int):
        return dataclasses.replace(case, args=(*case.args[:k], x, *case.args[k + 1 :]), wrt=())
    if case.call is None:
        return dataclasses.replace(case, options={**case.options, k: x}, wrt=())
    return dataclasses.replace(case, call={**case.call, k: x}, wrt=())


def slopes(dialect: str, case: Case, k: int | str, like: Array) -> tuple[Array, Array]:
    """The gradient of the sum of the truth, and where it is smooth enough to tell."""

    def value(at: tuple[int, ...], step: Any) -> Any:
        there = cases.module(dialect).truth(moved(case, k, at, step))[0]
        return np.sum(np.asarray(there, np.longdouble))

    found, settled = np.zeros(like.shape, np.longdouble), np.zeros(like.shape, bool)
    for at in np.ndindex(like.shape):
        ends = [value(at, s * STEP) for s in (2, 1, 0, -1, -2)]
        ahead, behind = (ends[1] - ends[2]) / STEP, (ends[2] - ends[3]) / STEP
        inner, outer = (ends[1] - ends[3]) / 2 / STEP, (ends[0] - ends[4]) / 4 / STEP
        found[at] = (4 * inner - outer) / 3
        near = 1e-5 * (1 + abs(inner))
        settled[at] = max(abs(ahead - behind), abs(inner - outer)) < near
    return found, settled


CALLS = _calls()


@pytest.mark.filterwarnings(
    "ignore:.*(batchmean|are broadcast|(is|are) deprecated|do not sum to 1):UserWarning"
)
@pytest.mark.parametrize(("dialect", "case", "k"), CALLS, ids=[f"{d}-{c}-{k}" for d, c, k in CALLS])
def test_the_gradient(harness: Harness, dialect: str, case: Case, k: int | str) -> None:
    need_dtypes(harness, case)
    function: Any = operator.attrgetter(case.function)(getattr(dialects, dialect))
    convert = functools.partial(converted, harness)
    options = {name: convert(x) for name, x in case.options.items()}
    if case.call is not None:
        function, options = function(**options), {n: convert(x) for n, x in case.call.items()}
    args = tuple(map(convert, case.args))
    value, gradient = xentropy.value_and_grad(function, k)(*args, **options)
    got = harness.numpy(gradient).astype(np.longdouble)
    like = given(case)[k]
    assert got.shape == like.shape
    wanted, settled = slopes(dialect, case, k, like)
    if (f"{dialect}.{case.function}", k) in CONSTANT:
        wanted = 0 * wanted
    size = np.max(np.abs(wanted[settled]), initial=np.max(np.abs(numpy(harness, value))))
    np.testing.assert_allclose(got[settled], wanted[settled], rtol=2e-5, atol=2e-6 * size)
