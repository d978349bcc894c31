"""Every case of a dialect on every framework: the original's value, gradient, dtype and error."""

from __future__ import annotations

import functools
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.cases import need_dtype
from tests.dialects import case as cases
from tests.dialects.case import LIVE, Array, Case, Outcome, outcome
from xentropy import dialects
from xentropy.testing import Harness

recorded = functools.cache(cases.recorded)
ALL = [(d, case) for d in dialects.DIALECTS for case in cases.module(d).CASES]


def ours(harness: Harness, dialect: str, case: Case) -> tuple[Any, tuple[Any, ...]]:
    """Value and gradients by the dialect."""
    function = getattr(getattr(dialects, dialect), case.function)
    convert = functools.partial(converted, harness)
    options = {name: convert(x) for name, x in case.options.items()}
    if case.call is not None:
        function, options = function(**options), {k: convert(x) for k, x in case.call.items()}
    args = tuple(map(convert, case.args))
    if not case.wrt:
        return numpy(harness, function(*args, **options)), ()
    value, grads = xentropy.value_and_grad(function, case.wrt)(*args, **options)
    return numpy(harness, value), tuple(numpy(harness, g) for g in grads)


def converted(harness: Harness, x: Any) -> Any:
    return harness.array(x) if isinstance(x, np.ndarray) else x


def numpy(harness: Harness, x: Any) -> Array:
    return np.asarray(x) if isinstance(x, (float, int)) else harness.numpy(x)


def assert_agrees(got: Any, original: Any, truth: Any, scale: Any = 0) -> None:
    """Within ``2 |original - truth| + 4 ulp``, in the dtype and shape of the original.

    The ulp is that of the truth, or of the terms that cancel in it, if these have a ``scale``.
    """
    assert got.dtype.name == original.dtype.name
    assert got.shape == original.shape
    truth = np.asarray(truth, np.longdouble)
    wide, theirs = got.astype(np.longdouble), original.astype(np.longdouble)
    assert (np.isnan(wide) == np.isnan(theirs)).all(), f"NaN elsewhere\n{wide}\n{theirs}"
    infinite = np.isinf(theirs) & np.isinf(truth)
    assert (wide[infinite] == theirs[infinite]).all(), f"infinity elsewhere\n{wide}\n{theirs}"
    finite = np.isfinite(theirs) & np.isfinite(truth)
    kind: Any = ml_dtypes.bfloat16 if got.dtype.name == "bfloat16" else got.dtype
    info = ml_dtypes.finfo(kind)
    large = np.maximum(np.maximum(np.abs(truth), scale), np.longdouble(info.tiny))
    ulp = large * np.longdouble(info.eps)
    most = 2 * np.abs(theirs - truth) + 4 * ulp
    off = np.abs(wide - truth)
    bad = finite & ~(off <= most)
    assert not bad.any(), f"off by {off[bad]}, at most {most[bad]}\n{wide}\n{theirs}\n{truth}"


@pytest.mark.parametrize(("dialect", "case"), ALL, ids=[f"{d}-{c}" for d, c in ALL])
def test_it_is_the_original(harness: Harness, dialect: str, case: Case) -> None:
    given = (*case.args, *case.options.values(), *(case.call or {}).values())
    dtypes = {str(getattr(x, "dtype", "")) for x in given}
    if not harness.float64 and "float64" in dtypes:
        pytest.skip("no float64 in this process")
    for dtype in dtypes & {"bfloat16", "float16"}:
        need_dtype(harness, dtype)
    there = recorded(dialect)[str(case)]
    here = outcome(lambda: ours(harness, dialect, case))
    if there.error:
        assert set(there.error) & set(here.error), f"{here.error} instead of {there.error}"
        return
    assert not here.error, here.error
    value, gradients, *scales = cases.module(dialect).truth(case)
    (scales,) = scales or [(0,) * (1 + len(gradients))]
    pairs = zip(
        (here.value, *here.gradients),
        (there.value, *there.gradients),
        (value, *gradients),
        scales,
        strict=True,
    )
    for got, want, true, scale in pairs:
        assert_agrees(got, want, true, scale)


@pytest.mark.parametrize(("dialect", "case"), ALL, ids=[f"{d}-{c}" for d, c in ALL])
def test_the_record_is_what_the_original_says(harness: Harness, dialect: str, case: Case) -> None:
    if LIVE[dialect] != harness.name:
        pytest.skip(f"{dialect} runs where {LIVE[dialect]} does")
    live: Outcome = outcome(lambda: cases.module(dialect).original(case))
    there = recorded(dialect)[str(case)]
    assert live.error == there.error
    if live.error:
        return
    for now, then in zip(
        (live.value, *live.gradients), (there.value, *there.gradients), strict=True
    ):
        assert now.dtype == then.dtype
        np.testing.assert_array_equal(now, then)
