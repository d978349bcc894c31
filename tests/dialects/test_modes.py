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


def prepared(harness: Harness, dialect: str, case: Case) -> tuple[Any, list[Any]]:
    """A function of the arrays among the arguments, and these."""
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

    return run, [convert(case.args[i]) for i in places]


def assert_same(harness: Harness, found: Any, expected: Any) -> None:
    if isinstance(expected, float):
        assert float(found) == pytest.approx(expected, rel=1e-6)
        return
    found, expected = harness.numpy(found), harness.numpy(expected)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


WARNINGS = "ignore:.*(batchmean|are broadcast|(is|are) deprecated):UserWarning"
IDS = [f"{d}-{c}" for d, c in CALLS]


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize(("dialect", "case"), CALLS, ids=IDS)
def test_every_mode(harness: Harness, mode: str, dialect: str, case: Case) -> None:
    if mode == "eager":
        pytest.skip("this is the other side")
    need_dtypes(harness, case)
    run, arrays = prepared(harness, dialect, case)
    assert_same(harness, harness.quick(mode)(run)(*arrays), run(*arrays))


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize(("dialect", "case"), CALLS, ids=IDS)
def test_batches_whose_length_is_not_known(harness: Harness, dialect: str, case: Case) -> None:
    if harness.name != "tensorflow":
        pytest.skip("shapes are known")
    import tensorflow as tf

    run, arrays = prepared(harness, dialect, case)
    specs = [
        tf.TensorSpec([None, *x.shape[1:]] if same else x.shape, x.dtype)
        for x in arrays
        for same in [x.ndim > 0 and x.shape[:1] == arrays[0].shape[:1]]
    ]
    assert_same(harness, tf.function(run, input_signature=specs)(*arrays), run(*arrays))


@pytest.mark.filterwarnings(WARNINGS)
@pytest.mark.parametrize(("dialect", "case"), CALLS, ids=IDS)
def test_a_batch_of_calls(harness: Harness, dialect: str, case: Case) -> None:
    if harness.name not in ("jax", "torch"):
        pytest.skip("no vmap")
    if harness.name == "jax":
        from jax import vmap
    else:
        from torch.func import vmap  # type: ignore[assignment]
    run, arrays = prepared(harness, dialect, case)
    twice = [harness.array(np.stack([harness.numpy(x)] * 2)) for x in arrays]
    found, expected = harness.numpy(vmap(run)(*twice)), run(*arrays)
    expected = np.float32(expected) if isinstance(expected, float) else harness.numpy(expected)
    np.testing.assert_allclose(found, np.stack([expected] * 2), rtol=2e-6, atol=1e-7)
