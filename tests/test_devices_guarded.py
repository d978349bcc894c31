"""What is moved to a device: what is given there, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import Case, linear, named
from tests.matrix import ENTRIES, Entry
from xentropy import Mean
from xentropy.testing import Harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]
LINEAR = [case for case in linear.cases() if str(case).endswith("everything")]
GRADIENTS = [*named("softmax ignore 5"), *LINEAR]


def no_transfers(harness: Harness) -> AbstractContextManager[Any]:
    guard = harness.no_transfers()
    return pytest.skip("see Harness.no_transfers") if guard is None else guard


@pytest.fixture(params=["one device", "another device", "all devices"])
def put(harness: Harness, request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    """What lays an array where it is to lie, before all guards."""
    if request.param == "one device":
        return lambda x: x
    return harness.placements().get(request.param) or pytest.skip("see Harness.placements")


@pytest.mark.parametrize("column", ["value", "jvp", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_nothing_is_moved(harness: Harness, mode: str, entry: Entry, column: str) -> None:
    """Of arrays on the device; numbers are constants of a program, or are put there explicitly."""
    guard = no_transfers(harness)
    given = tuple(entry.case.give(harness, "float32").values())
    run = harness.modes[mode](harness.ways["eager"][column](entry.function))
    with guard:
        found = run(*(given[:1] if column == "jvp" else ()), *given)
    assert np.isfinite(harness.numpy(found)).all()


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_nothing_is_moved_elsewhere(
    harness: Harness, entry: Entry, put: Callable[[Any], Any]
) -> None:
    """Numbers go where the arrays lie, also while these are followed."""
    guard = no_transfers(harness)
    given = tuple(map(put, entry.case.give(harness, "float32").values()))
    run = harness.ways["eager"]["jvp"](entry.function)
    with guard:
        found = run(*given[:1], *given)
    assert np.isfinite(harness.numpy(found)).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
@pytest.mark.parametrize(
    "case", named("softmax ignore 5", "softmax index everything", "sigmoid everything"), ids=str
)
def test_nothing_is_moved_by_a_reduction(
    harness: Harness, case: Case, reduction: Any, put: Callable[[Any], Any]
) -> None:
    guard, run = no_transfers(harness), case.function(reduction=reduction)
    given = [put(x) for x in case.give(harness, "float32").values()]
    with guard:
        found = run(*given)
    assert np.isfinite(harness.numpy(found[0] if reduction == "partial" else found))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
@pytest.mark.parametrize("case", GRADIENTS, ids=str)
def test_nothing_is_moved_by_a_gradient(
    harness: Harness, case: Case, reduction: Any, put: Callable[[Any], Any]
) -> None:
    guard = no_transfers(harness)
    grad = xentropy.value_and_grad(getattr(xentropy, case.loss), case.wrt)
    given = {name: put(x) for name, x in case.give(harness, "float32").items()}
    with guard:
        _, slopes = grad(**given, **case.options, reduction=reduction)
    assert all(np.isfinite(harness.numpy(x)).all() for x in slopes)


@pytest.mark.parametrize("name", ["sample_weight", "class_weight", "denominator"])
def test_only_what_is_given_is_moved(
    harness: Harness, name: str, put: Callable[[Any], Any]
) -> None:
    """A list, or a number of NumPy, is put beside arrays, also while these are followed."""
    guard, grad = no_transfers(harness), xentropy.value_and_grad(xentropy.linear_cross_entropy)
    given: dict[str, Any] = {n: put(harness.array(x)) for n, x in linear.small().items()}
    given[name] = [1.0] * given["weight"].shape[0] if name == "class_weight" else np.float32(2.0)
    with guard:
        value, _ = grad(**given, ignore_index=3, reduction="mean")
    assert np.isfinite(harness.numpy(value))


@pytest.mark.parametrize("result", ["value", "perplexity"])
def test_nothing_is_moved_by_a_mean(harness: Harness, mode: str, result: str) -> None:
    """Of parts that are added up one by one, at once, and by axis, one of them of numbers."""
    guard, run = no_transfers(harness), harness.modes[mode]
    (case,) = named("softmax ignore 5")
    f, given = case.function(reduction="partial"), tuple(case.give(harness, "float32").values())
    with guard:

        def total(*arrays: Any) -> Any:
            part = f(*arrays)
            return getattr(Mean.sum([part, sum([part, part]), Mean(0.0, 0)]).sum(), result)()

        found, part = run(total)(*given), run(f)(*given)
        want = getattr(part, result)()
    np.testing.assert_allclose(harness.numpy(found), harness.numpy(want), rtol=1e-6)


def test_a_transfer_would_be_seen(harness: Harness) -> None:
    with no_transfers(harness), pytest.raises(RuntimeError, match="transfer"):
        harness.array(np.ones(2, np.float32))
