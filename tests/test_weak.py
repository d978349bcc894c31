"""Numbers, nested lists and NumPy arrays follow the predictions; dtypes follow from theirs."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close, assert_same
from xentropy.testing import Harness

LOGITS = np.array([[0.5, -1.0, 2.0], [1.5, 0.25, -3.0]], np.float32)
# Called with predictions that are no arrays.
losses: Any = xentropy
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]

# A loss, its arguments as NumPy arrays, and the rest of the call.
CALLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "indices": (
        "cross_entropy",
        {
            "labels": np.array([2, 0]),
            "class_weight": np.array([1.0, 2.0, 4.0]),
            "class_mask": np.array([True, False, True]),
            "sample_weight": np.array([0.5, 2.0]),
        },
        {},
    ),
    "a distribution": (
        "softmax_cross_entropy",
        {"labels": np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])},
        {"label_smoothing": 0.125},
    ),
    "one row for all": ("kl_divergence", {"labels": np.array([[0.5, 0.25, 0.25]])}, {}),
    "integers for a distribution": (
        "softmax_cross_entropy",
        {"labels": np.array([[1, 0, 0], [0, 1, 0]]), "where": np.array([True, False])},
        {},
    ),
    "bools for a distribution": (
        "sigmoid_cross_entropy",
        {
            "labels": np.array([[True, False, True], [False, False, True]]),
            "pos_weight": np.array([1, 2, 3]),
        },
        {},
    ),
    "a number": ("sigmoid_focal_cross_entropy", {"labels": np.array(1.0)}, {"gamma": 1.0}),
    "numbers for weights": (
        "cross_entropy",
        {"labels": np.array([1, 1]), "sample_weight": np.array(3), "class_weight": np.array(2.0)},
        {},
    ),
    "a denominator": (
        "sparse_softmax_cross_entropy",
        {"labels": np.array([2, 0]), "denominator": np.array(5.0)},
        {"reduction": "mean"},
    ),
    "an integer denominator": (
        "sparse_softmax_cross_entropy",
        {"labels": np.array([2, 0]), "denominator": np.array(5)},
        {"reduction": "mean"},
    ),
}


def in_compute_dtype(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x.astype(np.float32) if x.dtype.kind == "f" else x


@pytest.mark.parametrize("weaken", [np.asarray, np.ndarray.tolist], ids=["numpy", "lists"])
@pytest.mark.parametrize("call", CALLS)
def test_weak_arguments_are_taken_as_the_family_s_own(
    harness: Harness, call: str, weaken: Callable[[Any], Any]
) -> None:
    name, arguments, options = CALLS[call]
    loss, x = getattr(xentropy, name), harness.array(LOGITS)
    own = {k: harness.array(in_compute_dtype(v)) for k, v in arguments.items()}
    weak = {k: weaken(v) for k, v in arguments.items()}
    assert_same(harness, loss(x, **weak, **options), loss(x, **own, **options))


@pytest.mark.parametrize(
    ("call", "weaken"),
    [("indices", np.ndarray.tolist), ("indices", np.asarray), ("a denominator", np.ndarray.tolist)],
    ids=["lists", "numpy", "number"],
)
def test_weak_arguments_in_every_mode(
    harness: Harness, mode: str, call: str, weaken: Callable[[Any], Any]
) -> None:
    name, arguments, options = CALLS[call]
    loss, x = getattr(xentropy, name), harness.array(LOGITS)
    weak = {k: weaken(v) for k, v in arguments.items()}
    run = harness.quick(mode)(lambda x: loss(x, **weak, **options))
    own = {k: harness.array(in_compute_dtype(v)) for k, v in arguments.items()}
    got, want = run(x), loss(x, **own, **options)
    assert harness.owns(got)
    assert harness.numpy(got).dtype == np.float32
    # What a compiler rounds otherwise is for the tests of accuracy.
    assert np.all(
        np.abs(harness.numpy(got) - harness.numpy(want)) <= 4 * np.spacing(harness.numpy(want))
    )


def test_arrays_inside_a_list(harness: Harness) -> None:
    x = harness.array(LOGITS)
    labels = [np.int64(2), np.array(0)]
    assert_same(harness, xentropy.cross_entropy(x, labels), xentropy.cross_entropy(x, [2, 0]))


@pytest.mark.parametrize("name", ["labels", "where", "sample_weight"])
def test_empty_lists(harness: Harness, name: str) -> None:
    x = harness.array(np.zeros((0, 3), np.float32))
    options: dict[str, Any] = {"labels": harness.array(np.zeros(0, np.int64)), name: []}
    loss = xentropy.sparse_softmax_cross_entropy(x, **options)
    assert tuple(loss.shape) == (0,)
    assert harness.owns(loss)


def test_lists_as_predictions_take_the_default_float_of_the_other_family(harness: Harness) -> None:
    labels = harness.array(np.array([2, 0]))
    default = xentropy.backend_of(labels).default_float()
    for predictions in (LOGITS.tolist(), tuple(LOGITS.tolist())):
        loss = losses.sparse_softmax_cross_entropy(predictions, labels)
        assert_same(
            harness,
            loss,
            xentropy.sparse_softmax_cross_entropy(harness.array(LOGITS.astype(default)), labels),
        )
    weight = harness.array(np.array(2.0, np.float32))
    number = losses.squared_error(3, 1, sample_weight=weight)
    assert harness.owns(number)
    assert harness.numpy(number).dtype == default
    assert harness.numpy(number) == 8.0


def test_where_all_are_weak_the_family_is_numpy_s() -> None:
    loss = losses.cross_entropy([[1, 2], [3, 4]], [0, 1])
    assert type(loss) is np.ndarray
    assert loss.dtype == np.float64
    assert losses.squared_error(3, 1) == 4.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("other", ["float32", "float64"])
def test_the_dtype_is_that_of_the_predictions(harness: Harness, dtype: str, other: str) -> None:
    x = harness.array(LOGITS.astype(dtype))
    ones = harness.array(np.ones((2, 3), other))
    weight = harness.array(np.ones(3, other))
    loss = xentropy.softmax_cross_entropy(
        x, ones, class_weight=weight, sample_weight=harness.array(np.ones(2, other))
    )
    assert harness.numpy(loss).dtype == dtype
    mean = xentropy.squared_error(x, ones, reduction="mean", sample_weight=ones)
    assert harness.numpy(mean).dtype == dtype


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("own", [True, False], ids=["own", "numpy"])
def test_labels_of_every_integer_width(harness: Harness, dtype: str, own: bool) -> None:
    x, labels = harness.array(LOGITS), np.array([2, 0], dtype)
    loss = xentropy.sparse_softmax_cross_entropy(x, harness.array(labels) if own else labels)
    # Not bit for bit: arrays of the family may go a shorter way.
    assert_close(harness, loss, xentropy.sparse_softmax_cross_entropy(x, [2, 0]))


@pytest.mark.parametrize("dtype", ["int4", "uint4", "int2", "uint2"])
def test_labels_narrower_than_a_byte(harness: Harness, dtype: str) -> None:
    x, labels = harness.array(LOGITS), np.array([1, 0], getattr(ml_dtypes, dtype))
    loss = xentropy.sparse_softmax_cross_entropy(x, labels, ignore_index=-100)
    assert_same(harness, loss, xentropy.sparse_softmax_cross_entropy(x, [1, 0]))


@pytest.mark.parametrize("dtype", INTEGERS)
@pytest.mark.parametrize("own", [True, False], ids=["own", "numpy"])
def test_any_label_that_the_dtype_holds_can_be_ignored(
    harness: Harness, dtype: str, own: bool
) -> None:
    x, bounds = harness.array(LOGITS), np.iinfo(dtype)
    for k in {bounds.min, -1, -100, 1, 100, bounds.max}:
        if bounds.min <= k <= bounds.max:
            labels = np.array([k, 2], dtype)
            given = harness.array(labels) if own else labels
            loss = xentropy.sparse_softmax_cross_entropy(x, given, ignore_index=int(k))
            want = xentropy.sparse_softmax_cross_entropy(x, [0, 2], where=[False, True])
            assert_same(harness, loss, want)


BEYOND = (-(10**30), 10**30, 2**64 + 1, -(2**64) + 1)
WRAPPING = [("uint8", -255), ("int8", 257), ("uint64", 1 - 2**64)]
"""To a label, each in its dtype."""


@pytest.mark.parametrize(("dtype", "k"), [*itertools.product(INTEGERS, BEYOND), *WRAPPING])
def test_an_ignore_index_that_the_dtype_does_not_hold_ignores_nothing(
    harness: Harness, dtype: str, k: int
) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array([1, 2], dtype))
    loss = xentropy.sparse_softmax_cross_entropy(x, labels, ignore_index=k)
    assert_same(harness, loss, xentropy.sparse_softmax_cross_entropy(x, [1, 2]))


def test_integers_beyond_every_dtype_are_numbers_where_no_index_is_meant(harness: Harness) -> None:
    x = harness.array(LOGITS)
    labels = [[2**70, 0, 1], [1, -(2**70), 0]]
    for loss in (losses.softmax_cross_entropy, losses.squared_error):
        assert_same(harness, loss(x, labels), loss(x, np.asarray(labels, np.float64)))
    for name in ("sample_weight", "class_weight"):
        got = losses.cross_entropy(x, [2, 0], **{name: 2**70})
        assert_same(harness, got, losses.cross_entropy(x, [2, 0], **{name: 2.0**70}))
    got = losses.squared_error(x, 0, reduction="mean", denominator=2**70)
    assert_same(harness, got, losses.squared_error(x, 0, reduction="mean", denominator=2.0**70))
    # Beyond every float a number is what the literal 1e400 is.
    assert np.all(harness.numpy(losses.squared_error(x, 10**400)) == np.inf)


def test_predictions_beyond_every_integer_dtype() -> None:
    np.testing.assert_array_equal(losses.squared_error([2**70, 1], 2**70)[0], 0.0)


FLOAT8 = ("float8_e4m3fn", "float8_e5m2")


@pytest.mark.parametrize("dtype", [*FLOAT8, "bfloat16", "float16", "longdouble"])
@pytest.mark.parametrize("name", ["labels", "sample_weight"])
def test_numpy_arrays_of_other_float_dtypes_are_weak_too(
    harness: Harness, dtype: str, name: str
) -> None:
    values = np.array([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]])
    values = values if name == "labels" else values[:, 1]
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    x, plain = harness.array(LOGITS), {"labels": np.eye(2, 3), name: values}
    got = xentropy.softmax_cross_entropy(x, **{**plain, name: values.astype(kind)})  # type: ignore[arg-type]
    assert_same(harness, got, xentropy.softmax_cross_entropy(x, **plain))  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", FLOAT8)
def test_predictions_of_8_bits(dtype: str) -> None:
    x = LOGITS.astype(getattr(ml_dtypes, dtype))
    value, grad = xentropy.value_and_grad(xentropy.cross_entropy)(x, [2, 0])
    np.testing.assert_array_equal(value, xentropy.cross_entropy(x.astype(np.float32), [2, 0]))
    assert value.dtype == np.float32
    assert grad.dtype == x.dtype


def test_nothing_is_written_to(harness: Harness) -> None:
    x, labels = LOGITS.copy(), np.array([2, 0])
    weight, mask = np.array([1.0, 0.0]), np.array([True, False])
    for array in (x, labels, weight, mask):
        array.flags.writeable = False
    before = [array.copy() for array in (x, labels, weight, mask)]
    given = harness.array(x)
    xentropy.value_and_grad(xentropy.cross_entropy)(
        given, labels, sample_weight=weight, where=mask, reduction="mean"
    )
    for array, old in zip((harness.numpy(given), labels, weight, mask), before, strict=True):
        np.testing.assert_array_equal(array, old)
