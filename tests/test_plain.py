"""Calls without options go a shorter way, which nothing but the time shows."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close, assert_within
from tests.cases import need_dtype, rng
from tests.test_kernels import logits, truth
from xentropy.kernels import plain
from xentropy.parity import compare
from xentropy.testing import Harness

LOSSES = [xentropy.cross_entropy, xentropy.sparse_softmax_cross_entropy]
REDUCED: dict[str, Any] = {"none": lambda x: x, "sum": np.sum, "mean": np.mean}


@pytest.mark.parametrize("shape", [(1, 1), (3, 1), (32, 10), (7, 300), (2, 3, 4), (5,)], ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_values(harness: Harness, dtype: str, reduction: Any, shape: tuple[int, ...]) -> None:
    need_dtype(harness, dtype)
    x, labels = logits(f"plain {shape}", int(np.prod(shape[:-1])), shape[-1], dtype)
    x[0, 0] += 30  # a row that is sure of itself
    want = REDUCED[reduction](truth(x, labels)[0].reshape(shape[:-1]))
    given = harness.array(x.reshape(shape)), harness.array(labels.reshape(shape[:-1]))
    xentropy.cross_entropy(*given)  # of the first array of a kind nothing is known
    for loss in LOSSES:
        got = harness.numpy(loss(*given, reduction=reduction))
        assert got.shape == want.shape
        assert got.dtype == ("float64" if dtype == "float64" else "float32")
        assert_within(got, want, np.abs(want), compare.VALUE)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0**14])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradients(harness: Harness, dtype: str, reduction: Any, factor: float) -> None:
    """Of what was expected, and of anything else, as when a loss is scaled for half precision."""
    need_dtype(harness, dtype)
    x, labels = logits("plain gradients", 6, 11, dtype)
    y = harness.array(labels)

    def total(x: Any) -> Any:
        loss = factor * xentropy.cross_entropy(x, y, reduction=reduction)
        return xentropy.absolute_error(loss, 0.0, reduction="sum") if loss.ndim else loss

    grad = harness.numpy(own(harness, total, harness.array(x)))
    slope = truth(x, labels)[1] * (factor / (6 if reduction == "mean" else 1))
    assert grad.dtype == dtype
    assert_within(grad, slope, np.abs(slope), compare.GRADIENT)


def own(harness: Harness, f: Any, x: Any) -> Any:
    try:
        return harness.gradient(f, (x,), (0,))[0]
    except NotImplementedError:
        pytest.skip("no automatic differentiation: nothing follows the loss")


def test_second_derivatives(harness: Harness) -> None:
    x, labels = logits("plain second", 4, 5, "float64")
    need_dtype(harness, "float64")
    y, direction = harness.array(labels), harness.array(rng("direction").normal(size=(4, 5)))

    def along(x: Any, **options: Any) -> Any:
        def total(x: Any) -> Any:
            return xentropy.cross_entropy(x, y, reduction="mean", **options)

        return xentropy.squared_error(own(harness, total, x), direction, reduction="sum")

    plainly = own(harness, along, harness.array(x))
    # An axis counted from the front is the same, and unusual.
    assert_close(harness, plainly, own(harness, lambda x: along(x, axis=1), harness.array(x)))


@pytest.mark.parametrize(
    ("options", "is_plain"),
    [
        ({}, True),
        ({"axis": -1, "label_smoothing": 0.0, "where": None}, True),
        ({"reduction": "partial"}, False),
        ({"axis": 1}, False),
        ({"label_smoothing": 0.1}, False),
        ({"z_loss": 0.1}, False),
        ({"ignore_index": -100}, False),
        ({"class_weight": [1.0, 2.0, 3.0]}, False),
        ({"sample_weight": 2.0}, False),
        ({"reduction": "mean", "denominator": 2.0}, False),
    ],
)
def test_what_is_plain(harness: Harness, options: dict[str, Any], is_plain: bool) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 2]))
    with mock.patch.object(plain, "cross_entropy", wraps=plain.cross_entropy) as seen:
        xentropy.cross_entropy(x, labels)
        if not seen.called:
            pytest.skip("no shorter way: Backend.plain_cross_entropy")
        seen.reset_mock()
        xentropy.cross_entropy(x, labels, **options)
        assert seen.called == is_plain
        seen.reset_mock()
        with xentropy.strict():
            xentropy.cross_entropy(x, labels)
        assert not seen.called


@pytest.mark.parametrize(
    "options", [{"label_smoothing": None}, {"z_loss": False}, {"axis": -1.0}, {"reduction": "all"}]
)
def test_odd_options_are_refused_as_ever(harness: Harness, options: dict[str, Any]) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 2]))
    xentropy.cross_entropy(x, labels)
    with pytest.raises(xentropy.OptionError):
        xentropy.cross_entropy(x, labels, **options)


@pytest.mark.parametrize("wrong", [-1, 3, -100])
def test_wrong_labels_are_refused_as_ever(harness: Harness, wrong: int) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, wrong]))
    with pytest.raises(xentropy.LabelError, match=rf"labels\[1\] is {wrong}"):
        xentropy.cross_entropy(x, labels, reduction="mean")
