"""Index labels of a linear layer: their dtypes, and what happens to those that name no class."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import Array, own_gradient, single
from tests.cases.linear import call, small
from xentropy.testing import Harness

LINEAR: Any = xentropy.linear_cross_entropy
STATISTICS: Any = functools.partial(
    xentropy.linear_softmax_statistics, outputs=("log_prob", "rank", "correct")
)


def refused(mode: str) -> contextlib.AbstractContextManager[Any]:
    """Return what to expect: labels that can be read are refused, others give NaN."""
    if mode == "eager":
        return pytest.raises(xentropy.LabelError)
    return contextlib.nullcontext()


WRONG: list[tuple[str, int]] = [
    # the dtype of the labels, and one of them that names no class
    ("int64", -1),
    ("int32", 6),
    ("int8", -128),
    ("uint8", 255),
    ("uint32", 2**32 - 1),
    ("int64", 2**32),
    ("int64", 2**62),
    ("uint64", 2**64 - 1),
]


def labeled(harness: Harness, dtype: str, wrong: int) -> tuple[dict[str, Any], Array]:
    """The arguments of a call without its labels, and these."""
    given = {k: harness.array(v) for k, v in small().items() if k != "labels"}
    return given, np.array([5, wrong, 3, 1], dtype)


@pytest.mark.parametrize(("dtype", "wrong"), WRONG)
def test_wrong_labels_are_refused(harness: Harness, dtype: str, wrong: int) -> None:
    given, labels = labeled(harness, dtype, wrong)
    own = harness.array(labels)
    if not np.array_equal(harness.numpy(own), labels):
        pytest.skip("the family has no integers of 64 bits, as JAX by default")
    for f in (LINEAR, STATISTICS):
        with pytest.raises(xentropy.LabelError, match=rf"labels\[1\] is {wrong}\b"):
            f(**given, labels=own)
    with pytest.raises(xentropy.LabelError):
        call(harness, {**small(), "labels": labels})
    with pytest.raises(IndexError):
        LINEAR(**given, labels=own, reduction="mean", class_weight=harness.array(single([1] * 6)))


@pytest.mark.parametrize("listed", [False, True], ids=["numpy", "list"])
@pytest.mark.parametrize(("dtype", "wrong"), WRONG)
def test_wrong_weak_labels(harness: Harness, dtype: str, wrong: int, listed: bool) -> None:
    """Also where the family has no integers of 64 bits, in which 2**62 would wrap to 0."""
    given, labels = labeled(harness, dtype, wrong)
    weak: Any = labels.tolist() if listed else labels
    for f in (LINEAR, STATISTICS):
        with pytest.raises(xentropy.LabelError, match=rf"labels\[1\] is {wrong}\b"):
            f(**given, labels=weak)
    right = np.array([5, 0, 3, 1])
    others = right == labels
    value = harness.numpy(LINEAR(**given, labels=weak, ignore_index=wrong))
    want = harness.numpy(LINEAR(**given, labels=right))
    np.testing.assert_array_equal(value, np.where(others, want, 0.0))
    found, wanted = (
        [harness.numpy(x) for x in STATISTICS(**given, labels=y, ignore_index=wrong)]
        for y in (weak, right)
    )
    for got, x, of_ignored in zip(found, wanted, (0.0, -1, False), strict=True):
        np.testing.assert_array_equal(got, np.where(others, x, of_ignored))


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "z_loss": 0.01}], ids=str)
def test_in_every_mode_a_wrong_label_is_nan_or_refused(
    harness: Harness, mode: str, options: dict[str, Any]
) -> None:
    arrays = small(labels=np.array([5, 6, 3, -1], np.int32))
    arrays["class_weight"] = single([1, 2, 0, 3, 1, 1])
    names = tuple(arrays)
    given = {k: harness.array(v) for k, v in arrays.items()}

    def loss(*xs: Any) -> Any:
        return LINEAR(**dict(zip(names, xs, strict=True)), **options)

    f = harness.modes[mode](loss)
    with refused(mode):
        value = harness.numpy(f(*given.values()))
        grads = own_gradient(harness, f, given, ("hidden",))
        np.testing.assert_array_equal(np.isnan(value), [False, True, False, True])
        right = {**given, "labels": harness.array(np.array([5, 0, 3, 0], np.int32))}
        want = harness.numpy(f(*right.values()))
        np.testing.assert_array_equal(value[[0, 2]], want[[0, 2]])
        for g in grads.values():
            np.testing.assert_array_equal(np.isnan(g).all(axis=1), np.isnan(value))
            np.testing.assert_array_equal(np.isnan(g).any(axis=1), np.isnan(value))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint16", "uint64"])
def test_every_width(harness: Harness, dtype: str) -> None:
    arrays = small()
    value, _ = call(harness, {**arrays, "labels": arrays["labels"].astype(dtype)})
    np.testing.assert_array_equal(value, call(harness, arrays)[0])
