"""Each function of a dialect through each compiler and transform: the value that it has without."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
import pytest

from tests.dialects import case as cases
from tests.dialects.case import Case
from tests.dialects.test_grid import converted, need_dtypes
from xentropy import dialects
from xentropy.testing import Harness

# One of each kind: to compile takes a while.
CLASSES = ("CrossEntropyLoss", "SparseCategoricalCrossentropy", "MeanSquaredError")


def _calls() -> list[tuple[str, Case]]:
    """A call of each function that the original accepts, with options if there is one."""
    found: dict[tuple[str, str], tuple[str, Case]] = {}
    for dialect in dialects.DIALECTS:
        there = cases.recorded(dialect)
        for case in sorted(cases.module(dialect).CASES, key=lambda case: not case.options):
            if case.call is not None and case.function not in CLASSES:
                continue
            arrays = [x for x in case.args if isinstance(x, np.ndarray)]
            if there[str(case)].error or not all(x.size and x.dtype.kind in "fiub" for x in arrays):
                continue
            if not arrays or {x.dtype.itemsize for x in arrays if x.dtype.kind == "f"} != {4}:
                continue
            found.setdefault((dialect, case.function), (dialect, case))
    return list(found.values())


CALLS = _calls()


@pytest.mark.filterwarnings("ignore:.*(batchmean|are broadcast|(is|are) deprecated):UserWarning")
@pytest.mark.parametrize(("dialect", "case"), CALLS, ids=[f"{d}-{c}" for d, c in CALLS])
def test_every_mode(harness: Harness, mode: str, dialect: str, case: Case) -> None:
    if mode == "eager":
        pytest.skip("this is the other side")
    need_dtypes(harness, case)
    function: Any = operator.attrgetter(case.function)(getattr(dialects, dialect))
    convert = functools.partial(converted, harness)
    options = {name: convert(x) for name, x in case.options.items()}
    if case.call is not None:
        function, options = function(**options), {k: convert(x) for k, x in case.call.items()}
    if case.function in ("log_loss", "brier_score_loss") and dialect == "sklearn":
        labels = np.unique(case.args[0]).tolist()
        name, value = (
            ("labels", labels) if case.function == "log_loss" else ("pos_label", labels[1])
        )
        options[name] = value
    places = [i for i, x in enumerate(case.args) if isinstance(x, np.ndarray)]

    def run(*arrays: Any) -> Any:
        args = list(case.args)
        for i, x in zip(places, arrays, strict=True):
            args[i] = x
        return function(*args, **options)

    arrays = [convert(case.args[i]) for i in places]
    expected, found = run(*arrays), harness.modes[mode](run)(*arrays)
    if isinstance(expected, float):
        assert float(found) == pytest.approx(expected, rel=1e-6)
        return
    expected, found = harness.numpy(expected), harness.numpy(found)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)
