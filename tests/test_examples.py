"""The founding examples, to the digits in which they were given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import Array, rng
from xentropy.testing import Harness

DIGITS = 8
"""After the first: how many digits the examples were given with."""

LOGITS = np.array([[12, 3, 2], [3, 10, 1], [1, 2, 5], [4, 6.5, 1.2], [3, 6, 1]])
LABELS = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
SIGMOID = np.array(
    [
        [6.14419348e-06, 3.04858735e00, 2.12692801e00],
        [3.04858735e00, 4.53988992e-05, 1.31326169e00],
        [1.31326169e00, 2.12692801e00, 6.71534849e-03],
        [1.81499279e-02, 1.50231016e-03, 1.46328247e00],
        [3.04858735e00, 2.47568514e-03, 1.31326169e00],
    ]
)

# Labels may come as arrays of the framework, as NumPy arrays and as lists.
FORMS: dict[str, Callable[[Harness, Array], Any]] = {
    "array": lambda harness, labels: harness.array(labels),
    "NumPy": lambda harness, labels: labels,
    "list": lambda harness, labels: labels.tolist(),
}
forms = pytest.mark.parametrize("form", FORMS)


def assert_digits(harness: Harness, losses: Any, expected: Any) -> None:
    """Compare to the digits given."""
    assert harness.owns(losses)
    got, want = harness.numpy(losses), np.asarray(expected)
    assert got.shape == want.shape
    printed = [np.char.mod(f"%.{DIGITS}e", v) for v in (got, want)]
    off = np.abs(np.float64(printed[0]) - np.float64(printed[1]))
    last = 10.0 ** (np.floor(np.log10(np.abs(want))) - DIGITS)  # one unit in the last digit
    assert np.all(np.rint(off / last) <= 1), f"{printed[0]}\n{printed[1]}"


def sigmoid(x: Array) -> Array:
    """Return the probability, as the examples work it out."""
    return np.asarray(1 / (1 + np.exp(-x)))


def softmax(x: Array) -> Array:
    """Return the probabilities of every row, as the examples work them out."""
    e = np.exp(x)
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def weighted(p: Array, y: Array, q: Any = 1.0) -> Array:
    """Return the loss of the examples from probabilities, the positive term weighted."""
    return np.asarray(-q * y * np.log(p) - (1 - y) * np.log(1 - p))


@forms
def test_sigmoid(harness: Harness, form: str) -> None:
    labels = FORMS[form](harness, LABELS)
    losses = xentropy.sigmoid_cross_entropy(harness.array(LOGITS), labels)
    assert_digits(harness, losses, SIGMOID)
    assert_digits(harness, losses, weighted(sigmoid(LOGITS), LABELS))
    probs = harness.array(sigmoid(LOGITS))
    assert_digits(harness, xentropy.binary_cross_entropy(probs, labels), SIGMOID)


@forms
@pytest.mark.parametrize("q", [1.0, 0.5, 2.0, 10.0, [1.0, 2.0, 0.25]], ids=str)
def test_weighted_sigmoid(harness: Harness, q: Any, form: str) -> None:
    """The weight is on the positive term, and is a number or one for each class."""
    logits, labels = harness.array(LOGITS), FORMS[form](harness, LABELS)
    expected = weighted(sigmoid(LOGITS), LABELS, np.asarray(q))
    for given in (q, FORMS[form](harness, np.asarray(q))):
        losses = xentropy.weighted_sigmoid_cross_entropy(logits, labels, given)
        assert_digits(harness, losses, expected)
        losses = xentropy.sigmoid_cross_entropy(logits, labels, pos_weight=given)
        assert_digits(harness, losses, expected)


@forms
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "cross_entropy"])
def test_softmax(harness: Harness, name: str, form: str) -> None:
    """One value for each example; the labels of a row need not sum to 1."""
    loss: Any = getattr(xentropy, name)
    labels = FORMS[form](harness, LABELS)
    expected = -np.sum(LABELS * np.log(softmax(LOGITS)), axis=1)
    assert_digits(harness, loss(harness.array(LOGITS), labels), expected)
    total = loss(harness.array(LOGITS), labels, reduction="sum")
    assert_digits(harness, total, np.sum(expected))
    probs = harness.array(softmax(LOGITS))
    assert_digits(harness, xentropy.categorical_cross_entropy(probs, labels), expected)


@forms
@pytest.mark.parametrize("name", ["sparse_softmax_cross_entropy", "cross_entropy"])
def test_sparse_softmax(harness: Harness, name: str, form: str) -> None:
    loss: Any = getattr(xentropy, name)
    x, index = np.array([[2, 0.5, 6], [0.1, 0, 3]]), np.array([2, 1])
    logits, one_hot = harness.array(x), np.eye(3)[index]
    dense = harness.numpy(xentropy.softmax_cross_entropy(logits, FORMS[form](harness, one_hot)))
    sparse = loss(logits, FORMS[form](harness, index))
    assert_digits(harness, sparse, dense)
    assert_digits(harness, sparse, -np.log(softmax(x)[[0, 1], index]))
    probs = harness.array(softmax(x))
    losses = xentropy.sparse_categorical_cross_entropy(probs, FORMS[form](harness, index))
    assert_digits(harness, losses, dense)


@forms
def test_mean_squared_error(harness: Harness, form: str) -> None:
    """In its three spellings: the mean of a power, of a square, and the library's own."""
    logits, targets = harness.array(LOGITS), FORMS[form](harness, LABELS)
    for expected in (np.mean(np.power(LOGITS - LABELS, 2)), np.mean(np.square(LOGITS - LABELS))):
        assert_digits(harness, xentropy.mean_squared_error(logits, targets), expected)
        assert_digits(harness, xentropy.squared_error(logits, targets, reduction="mean"), expected)


E = LOGITS - LABELS
SMALL = np.abs(E) < 1
ERRORS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "L1": ("absolute_error", {}, np.abs(E)),
    "mean of L1": ("mean_absolute_error", {}, np.mean(np.abs(E))),
    "L2": ("squared_error", {}, E**2),
    "smooth L1": ("smooth_l1", {}, np.where(SMALL, E**2 / 2, np.abs(E) - 0.5)),
    "smooth L1 wider": (
        "smooth_l1",
        {"beta": 2.5},
        np.where(np.abs(E) < 2.5, E**2 / 5, np.abs(E) - 1.25),
    ),
    "Huber": ("huber", {}, np.where(SMALL, E**2 / 2, np.abs(E) - 0.5)),
    "log-cosh": ("log_cosh", {}, np.log(np.cosh(E))),
}


@forms
@pytest.mark.parametrize("name", ERRORS)
def test_errors(harness: Harness, name: str, form: str) -> None:
    loss, options, expected = ERRORS[name]
    predictions, targets = harness.array(LOGITS), FORMS[form](harness, LABELS)
    losses = getattr(xentropy, loss)(predictions, targets, **options)
    # Where both are equal the loss is 0, which has no digits.
    assert_digits(harness, losses + 1, expected + 1)


def test_two_classes_are_a_sigmoid(harness: Harness) -> None:
    """The sigmoid loss of x is the softmax loss of [0, x]."""
    x = 3 * rng("two classes").normal(size=20)
    y = rng("two labels").integers(0, 2, 20)
    pairs = harness.array(np.stack([np.zeros(20), x], axis=1))
    expected = harness.numpy(xentropy.sigmoid_cross_entropy(harness.array(x), y))
    assert_digits(harness, xentropy.sparse_softmax_cross_entropy(pairs, y), expected)
    one_hot = np.eye(2)[y]
    assert_digits(harness, xentropy.softmax_cross_entropy(pairs, one_hot), expected)


def test_a_wrong_digit_is_seen(harness: Harness) -> None:
    """The comparison itself: two units in the last digit given are too many."""
    good = np.array([1.23456789, 2.0])
    assert_digits(harness, harness.array(good), good)
    with pytest.raises(AssertionError):
        assert_digits(harness, harness.array(good + [2e-8, 0]), good)
