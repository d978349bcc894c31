"""Every case of a dialect on every framework: the original's value, gradient, dtype and error."""

from __future__ import annotations

import functools
import operator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.cases.case import need_dtype
from tests.dialects import case as cases
from tests.dialects.case import LIVE, Array, Case, Outcome, outcome
from xentropy import dialects
from xentropy.testing import Harness

pytestmark = pytest.mark.filterwarnings(
    # What originals warn of, and the dialects with them.
    "ignore:.*(batchmean|are broadcast|(is|are) deprecated):UserWarning"
)

recorded = functools.cache(cases.recorded)
ALL = [(d, case) for d in dialects.DIALECTS for case in cases.module(d).CASES]


def ours(harness: Harness, dialect: str, case: Case) -> tuple[Any, tuple[Any, ...]]:
    """Value and gradients by the dialect."""
    function = operator.attrgetter(case.function)(getattr(dialects, dialect))
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
    """An array of the framework; labels that are strings remain what they are."""
    return harness.array(x) if isinstance(x, np.ndarray) and x.dtype.kind not in "OU" else x


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
    with np.errstate(over="ignore"):
        rounded = truth.astype(original.dtype).astype(np.longdouble)
    assert_alike(theirs, rounded, "the original is wrong: this belongs into the ledger")
    assert_alike(wide, theirs, "not the original's")
    info = info_of(got)
    size = np.maximum(np.maximum(np.abs(truth), scale), np.longdouble(info.tiny))
    with np.errstate(invalid="ignore"):  # of infinities, compared above
        most = 2 * np.abs(theirs - truth) + 4 * size * np.longdouble(info.eps)
        off = np.abs(wide - truth)
    bad = np.isfinite(theirs) & ~(off <= most)
    assert not bad.any(), f"off by {off[bad]}, at most {most[bad]}\n{wide}\n{theirs}\n{truth}"


def assert_alike(here: Any, there: Any, said: str) -> None:
    """NaN and infinities in the same places."""
    off = (np.isnan(here) != np.isnan(there)) | (
        (np.isinf(here) | np.isinf(there)) & (here != there)
    )
    off &= ~(np.isnan(here) & np.isnan(there))
    assert not off.any(), f"{said}\n{here}\n{there}"


def info_of(x: Any) -> Any:
    kind: Any = ml_dtypes.bfloat16 if x.dtype.name == "bfloat16" else x.dtype
    return ml_dtypes.finfo(kind)  # type: ignore[no-untyped-call]


def assert_is_true(got: Any, by: Any, truth: Any) -> None:
    """Of a gradient that the original has not: within 8 ulp, in dtype and shape of its argument."""
    assert got.dtype == by.dtype
    assert got.shape == by.shape
    info = info_of(got)
    most = 8 * info.eps * np.maximum(np.abs(truth), np.longdouble(info.tiny))
    off = np.abs(got.astype(np.longdouble) - truth)
    assert (off <= most).all(), f"off by {off}, at most {most}\n{got}\n{truth}"


def need_dtypes(harness: Harness, case: Case, there: Outcome | None = None) -> None:
    """Skip where the framework lacks a dtype of the call or of what is returned."""
    names = cases.dtypes(case, there)
    if not harness.float64 and "float64" in names:
        pytest.skip("no float64 in this process")
    for name in sorted(names & {"float16", "bfloat16"}):
        need_dtype(harness, name)


@pytest.mark.parametrize(("dialect", "case"), ALL, ids=[f"{d}-{c}" for d, c in ALL])
def test_it_is_the_original(harness: Harness, dialect: str, case: Case) -> None:
    there = recorded(dialect)[str(case)]
    need_dtypes(harness, case, there)
    here = outcome(lambda: ours(harness, dialect, case))
    if there.error:
        assert set(there.error) & set(here.error), f"{here.error} instead of {there.error}"
        return
    assert not here.error, here.error
    value, gradients, *scales = cases.module(dialect).truth(case)
    (scales,) = scales or [(0,) * (1 + len(gradients))]
    assert_agrees(here.value, there.value, value, scales[0])
    wanted = there.gradients or (None,) * len(case.wrt)
    arguments = [case.args[i] for i in case.wrt]
    found = zip(here.gradients, wanted, gradients, scales[1:], arguments, strict=True)
    for got, want, true, scale, by in found:
        if want is None:
            assert_is_true(got, by, true)
        else:
            assert_agrees(got, want, true, scale)


@pytest.mark.parametrize(("dialect", "case"), ALL, ids=[f"{d}-{c}" for d, c in ALL])
def test_the_record_is_what_the_original_says(harness: Harness, dialect: str, case: Case) -> None:
    """Up to what a processor or a compiler makes of its operations."""
    if LIVE[dialect] != harness.name:
        pytest.skip(f"{dialect} runs where {LIVE[dialect]} does")
    live: Outcome = outcome(lambda: cases.module(dialect).original(case))
    there = recorded(dialect)[str(case)]
    assert live.error == there.error
    if live.error:
        return
    floats = [x for x in case.args if isinstance(x, np.ndarray) and x.dtype.kind in "fV"]
    record = (there.value, *there.gradients)
    wide = [then.astype(np.float64) for then in record]
    size = max(np.max(np.abs(x), initial=0, where=np.isfinite(x)) for x in wide)
    for now, then, x in zip((live.value, *live.gradients), record, wide, strict=True):
        assert now.dtype == then.dtype
        most = 16 * max(float(info_of(each).eps) for each in (then, *floats))
        np.testing.assert_allclose(now.astype(np.float64), x, rtol=most, atol=most * size)
