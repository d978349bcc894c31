"""The assertions of the suite: each says how far off what it refuses is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tests.cases import Array, Case, compute_dtype
from xentropy.parity import compare
from xentropy.parity.oracle import Truth
from xentropy.testing import Harness

__all__ = [
    "assert_bits",
    "assert_case",
    "assert_close",
    "assert_same",
    "assert_true",
    "assert_within",
]


def assert_within(
    got: Array, truth: Array, scale: Array, most: float, dtype: str | None = None
) -> None:
    """Compare with the truth, to at most some ulp of the scale in `dtype`, by default its own."""
    off = compare.ulp_errors(got, truth, scale, dtype or got.dtype.name)
    assert np.max(off, initial=0) <= most, f"{np.max(off):.3g} ulp, at most {most}\n{off}"


def assert_case(case: Case, dtype: str, value: Array, grads: Mapping[str, Array]) -> None:
    """Compare the losses and gradients of a case with the truth, and their dtypes."""
    assert value.dtype.name == compute_dtype(dtype)
    for name, grad in grads.items():
        wanted = dtype if name == case.first else compute_dtype(dtype)
        assert grad.dtype.name == wanted, name
    assert_true(case.truth(dtype), compare.bound(case.loss, case.options), value, grads)


def assert_true(
    truth: Truth, bound: compare.Bound, value: Array, grads: Mapping[str, Array]
) -> None:
    """Compare losses, and gradients by argument name, with what the oracle says."""
    assert_within(value, truth.value, truth.value_scale, bound.value)
    for name, grad in grads.items():
        most = bound.gradient_in(grad.dtype.name)
        assert_within(grad, truth.grads[name], truth.grad_scales[name], most)


def assert_close(harness: Harness, got: Any, want: Any, ulp: float = compare.VALUE) -> None:
    """Compare two results of the library that differ by roundings in the order of a sum.

    In ulp of the largest number, or of 1 where all are smaller.
    """
    got, want = harness.numpy(got), harness.numpy(want)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    got, want = got[finite], want[finite]
    off = np.abs(got - want) / np.spacing(np.abs(want).max(initial=1.0))
    assert np.all(off <= ulp), f"{np.max(off):.3g} ulp, at most {ulp}\n{off}"


def assert_same(harness: Harness, got: Any, want: Any) -> None:
    """Compare two results of one framework that came by one way: not a bit may differ."""
    assert harness.owns(got)
    assert_bits((harness.numpy(got),), (harness.numpy(want),))


def assert_bits(got: tuple[Array, ...], want: tuple[Array, ...]) -> None:
    """Compare arrays bit for bit, but for the sign of zeros."""
    for a, b in zip(got, want, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)
