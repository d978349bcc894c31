"""The assertions themselves: what is right passes, and the smallest fault does not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.asserts import assert_bits, assert_case, assert_close, assert_same, assert_within
from tests.cases import Array, Case, single
from xentropy.parity import compare
from xentropy.testing import Harness

X = single([1, 2, -3])
ULP = np.spacing(np.float32(3))
OTHERS: list[Array] = [
    X.astype(np.float64),
    X[:2],
    X[:, None],
    single([1, np.nan, -3]),
    single([1, np.inf, -3]),
]
"""What is equal nowhere: another dtype, another shape, other numbers."""


@pytest.mark.parametrize("fault", [np.nextafter(X, single(9)), *OTHERS], ids=repr)
def test_a_bit_would_be_seen(harness: Harness, fault: Array) -> None:
    want = harness.array(X)
    assert_same(harness, harness.array(X.copy()), want)
    assert_bits((X, fault), (X.copy(), fault.copy()))  # a NaN is a NaN
    with pytest.raises(AssertionError):
        assert_same(harness, harness.array(fault), want)
    with pytest.raises(AssertionError):
        assert_bits((X, fault), (X, X))
    with pytest.raises(ValueError, match="zip"):
        assert_bits((X,), (X, X))


def test_another_family_would_be_seen(harness: Harness) -> None:
    if harness.owns(X):
        pytest.skip("one family: NumPy's are its own")
    with pytest.raises(AssertionError):
        assert_same(harness, X, harness.array(X))


@pytest.mark.parametrize("ulp", [0, 1, compare.VALUE])
def test_an_ulp_too_many_would_be_seen(harness: Harness, ulp: float) -> None:
    """Of the largest number; 1 where all are smaller."""
    want = harness.array(X)
    assert_close(harness, harness.array(X + ulp * ULP), want, ulp)
    with pytest.raises(AssertionError, match=f"ulp, at most {ulp}"):
        assert_close(harness, harness.array(X + (ulp + 1) * ULP), want, ulp)
    zero, eps = harness.array(np.zeros(1)), np.spacing(1.0)
    assert_close(harness, harness.array(np.array([ulp * eps])), zero, ulp)
    with pytest.raises(AssertionError, match="ulp, at most"):
        assert_close(harness, harness.array(np.array([-(ulp + 1) * eps])), zero, ulp)


@pytest.mark.parametrize("fault", OTHERS, ids=repr)
def test_what_is_not_close_would_be_seen(harness: Harness, fault: Array) -> None:
    with pytest.raises(AssertionError):
        assert_close(harness, harness.array(fault), harness.array(X))


def test_a_fault_beyond_the_bound_would_be_seen() -> None:
    """Relative to the scale, element by element."""
    truth, scale = np.array([1.0, 8.0], np.longdouble), np.array([1.0, 8.0], np.longdouble)
    step: Any = np.spacing(single([1, 8]))
    assert_within(single([1, 8]) + 4 * step, truth, scale, compare.VALUE)
    for fault in (single([0, 5]), single([5, 0])):
        with pytest.raises(AssertionError, match="5 ulp, at most 4"):
            assert_within(single([1, 8]) + fault * step, truth, scale, compare.VALUE)


def test_a_wrong_case_would_be_seen() -> None:
    """In its value, in a gradient and in the dtype of either."""
    arrays = {"predictions": np.array([3.0, 1.0]), "targets": np.array([1.0, 1.0])}
    case = Case("planted", "squared_error", arrays, wrt=("predictions",))
    value, grad = single([4, 0]), single([4, 0])
    assert_case(case, "float32", value, {"predictions": grad})
    faults: list[tuple[Array, Array]] = [
        (value * single(1.001), grad),
        (value, grad * single(1.001)),
        (value.astype(np.float64), grad),
        (value, grad.astype(np.float64)),
    ]
    for bad, slope in faults:
        with pytest.raises(AssertionError):
            assert_case(case, "float32", bad, {"predictions": slope})
