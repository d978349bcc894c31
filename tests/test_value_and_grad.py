"""Value and gradient, with one signature everywhere."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from tests.gradient_calls import LOGITS, TARGETS, WEIGHTS, given, gradients, loss, vag
from xentropy.parity import compare
from xentropy.testing import Harness


def test_the_signature_is_that_of_the_loss() -> None:
    function = vag(loss)
    assert inspect.signature(function) == inspect.signature(loss)
    assert function.__name__ == loss.__name__
    assert function.__doc__ == loss.__doc__
    partial = functools.partial(loss, LOGITS)
    assert inspect.signature(vag(partial)) == inspect.signature(partial)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
def test_every_reduction(harness: Harness, reduction: str) -> None:
    x, t = given(harness)
    value, grad = vag(loss)(x, t, reduction=reduction)
    want = loss(x, t, reduction=reduction)  # type: ignore[arg-type]
    assert type(value) is type(want)
    if isinstance(want, xentropy.Mean):
        assert_close(harness, value.total, want.total)
        assert_close(harness, value.weight, want.weight)
        assert_close(harness, value.value(), want.value())
    else:
        assert_close(harness, value, want)
    divisor = 2 if reduction == "mean" else 1
    _, of_sum = vag(loss)(x, t, reduction="sum")
    assert_close(harness, grad, harness.array(harness.numpy(of_sum) / np.float32(divisor)))


def test_in_every_mode(harness: Harness, mode: str) -> None:
    """Also by the weights, which enter the denominator of the mean."""
    x, t = given(harness)
    weight = harness.array(np.array([1.0, 2.0], np.float32))

    def call(*arrays: Any) -> Any:
        f = vag(loss, (0, 1, "sample_weight"))
        return f(arrays[0], arrays[1], sample_weight=arrays[2], reduction="mean")

    value, grads = harness.modes[mode](call)(x, t, weight)
    want, want_grads = call(x, t, weight)
    assert_close(harness, value, want)
    for got, eager in zip(grads, want_grads, strict=True):
        assert_close(harness, got, eager)


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
def test_one_loss(harness: Harness, reduction: str) -> None:
    """A loss without dimensions is its own sum."""
    x = harness.array(np.array(3.0))
    value, grad = vag(xentropy.squared_error)(x, 1.0, reduction=reduction)
    assert float(value.value() if isinstance(value, xentropy.Mean) else value) == 4
    assert float(grad) == 4
    row = harness.array(np.zeros(2))
    _, grad = vag(xentropy.cross_entropy)(row, 0, reduction=reduction)
    assert harness.numpy(grad).tolist() == [-0.5, 0.5]


def test_by_a_weight_of_0_with_a_masked_class(harness: Harness) -> None:
    """The loss is finite whatever stands on a class that is removed."""
    x = harness.array(np.array([[1.0, 1.0, np.nan]]))
    weight = harness.array(np.array([0.0]))
    given: dict[str, Any] = {"class_mask": [True, True, False], "sample_weight": weight}
    f = vag(xentropy.cross_entropy, "sample_weight")
    _, grad = f(x, harness.array(np.array([0])), **given)
    assert_close(harness, grad, harness.array(np.log([2.0])))


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_it_agrees_with_the_framework_s_own_gradient(harness: Harness, reduction: Any) -> None:
    x, t = given(harness)
    weight, classes = harness.array(WEIGHTS), harness.array(np.array([1, 2, 0.5], np.float32))
    names = ("logits", "labels", "sample_weight", "class_weight")
    options: dict[str, Any] = {"reduction": reduction, "label_smoothing": 0.125, "z_loss": 0.5}

    def f(*arrays: Any) -> Any:
        return loss(**dict(zip(names, arrays, strict=True)), **options)

    want = gradients(harness, f, x, t, weight, classes)
    arrays = dict(zip(names, (x, t, weight, classes), strict=True))
    _, got = vag(loss, names)(**arrays, **options)
    for grad, own in zip(got, want, strict=True):
        assert_close(harness, grad, own)


def test_one_array_passed_twice(harness: Harness) -> None:
    x = harness.array(np.array([1.0, 3.0], np.float32))
    _, (left, right) = vag(xentropy.squared_error, (0, 1))(x, x, sample_weight=x, reduction="sum")
    np.testing.assert_array_equal(harness.numpy(left), 0.0)
    np.testing.assert_array_equal(harness.numpy(right), 0.0)
    y = harness.array(np.array([0.5, 1.0], np.float32))
    _, grad = vag(xentropy.squared_error)(x, y, sample_weight=x, reduction="sum")
    # Only the argument that was named: 2 x (x - y), not what comes in by the weight.
    np.testing.assert_array_equal(harness.numpy(grad), [1.0, 12.0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_have_the_shape_and_dtype_of_their_argument(harness: Harness, dtype: str) -> None:
    x = harness.array(LOGITS)
    t = harness.array(TARGETS[:1].astype(dtype))
    w = harness.array(np.array(2.0, dtype))
    _, grads = vag(loss, ("logits", "labels", "sample_weight"))(
        x, t, sample_weight=w, reduction="mean"
    )
    for grad, argument in zip(grads, (x, t, w), strict=True):
        assert harness.owns(grad)
        assert harness.numpy(grad).shape == tuple(argument.shape)
        assert harness.numpy(grad).dtype == harness.numpy(argument).dtype


def test_an_argument_that_the_loss_does_not_depend_on(harness: Harness) -> None:
    x, t = given(harness)
    _, (grad, of_weight) = vag(loss, ("logits", "sample_weight"))(
        x, t, sample_weight=harness.array(np.zeros(2, np.float32)), reduction="mean"
    )
    np.testing.assert_array_equal(harness.numpy(grad), np.zeros((2, 3), np.float32))
    assert np.all(np.isfinite(harness.numpy(of_weight)))


@pytest.mark.parametrize("name", ["logsumexp", "log_softmax"])
def test_the_normalizers(harness: Harness, name: str) -> None:
    x = harness.array(LOGITS)
    function = getattr(xentropy, name)
    value, grad = vag(function)(x)
    assert_close(harness, value, function(x))
    total = harness.numpy(grad).sum(axis=-1)
    want = 1.0 if name == "logsumexp" else 0.0
    assert np.all(np.abs(total - want) <= compare.GRADIENT * np.finfo(np.float32).eps)


def test_nothing_is_recorded_outside(harness: Harness) -> None:
    from xentropy import _tape

    x, t = given(harness)
    vag(loss)(x, t)
    assert _tape._active.get() is None
    with pytest.raises(xentropy.OptionError):
        vag(loss)(x, t, reduction="all")
    assert _tape._active.get() is None
