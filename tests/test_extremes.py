"""Infinities, NaN, masks, kinks and empty shapes: exact losses and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import Array, own_gradient
from tests.cases.extremes import ERRORS, INF, MOST, NAN, TABLE, TINY, Row
from xentropy.parity import compare, oracle
from xentropy.testing import Harness, load_harness


def assert_row(row: Row, dtype: str, got: Array, want: Any, most: float) -> None:
    """Compare with the numbers of the table, which are float64: half an ulp of it is theirs."""
    expected = np.asarray(want, dtype=np.longdouble)
    assert_within(got, expected, np.abs(expected), most + compare.ROUNDING, dtype)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_the_oracle_agrees_with_the_table(row: Row) -> None:
    """What the table says was derived twice."""
    for dtype in row.dtypes:
        first, *others = (
            np.asarray(v, np.float64 if v.dtype.kind == "f" else None)
            for v in row.arrays(dtype).values()
        )
        names = list(row.arrays(dtype))[1:]
        given: dict[str, Any] = dict(zip(names, others, strict=True)) | row.numbers()
        labels = given.pop("labels", given.pop("targets", None))
        truth = oracle.evaluate(row.loss, first, labels, dtype=dtype, wrt=(row.first,), **given)
        for found, want in ((truth.value, row.value), (truth.grads[row.first], row.gradient)):
            with np.errstate(over="ignore"):
                got = np.asarray(found, dtype=np.float64).astype(dtype).reshape(np.shape(want))
            assert_row(row, dtype, got, want, compare.ROUNDING)


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_losses_and_gradients(harness: Harness, row: Row) -> None:
    """Exact, without a warning and without an exception."""
    assert_gradients_of_row(harness, row)


def assert_gradients_of_row(harness: Harness, row: Row) -> None:
    bound = compare.bound(row.loss, row.options)
    for dtype in row.dtypes:
        given = {k: harness.array(v) for k, v in row.arrays(dtype).items()}
        grad = xentropy.value_and_grad(getattr(xentropy, row.loss), row.first)
        value, gradient = grad(**given, **row.numbers())
        assert_row(row, dtype, harness.numpy(value), row.value, bound.value)
        assert_row(row, dtype, harness.numpy(gradient), row.gradient, bound.gradient)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "followed" in metafunc.fixturenames:
        name = str(metafunc.config.getoption("--backends"))
        there = name != "none" and load_harness(name).followed_way is not None
        reason = "its derivatives are the partials: see Harness.followed_way"
        none = [pytest.param(None, id="none", marks=pytest.mark.skip(reason=reason))]
        metafunc.parametrize("followed", TABLE if there else none, ids=str)


def test_what_is_followed(harness: Harness, followed: Row) -> None:
    """The same where a framework differentiates what computes the losses."""
    row, dtype = followed, followed.dtypes[0]
    names = list(row.arrays(dtype))

    def loss(*arrays: Any) -> Any:
        return getattr(xentropy, row.loss)(**dict(zip(names, arrays, strict=True)), **row.numbers())

    given, bound = map(harness.array, row.arrays(dtype).values()), compare.bound(row.loss, {})
    gradient = harness.ways[str(harness.followed_way)]["gradient"](loss)(*given)
    assert_row(row, dtype, harness.numpy(gradient), row.gradient, bound.gradient)


COMPILED = (
    "sparse_softmax_cross_entropy",
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "sigmoid_focal_cross_entropy",
    "binary_cross_entropy",
    "huber",
)
"""One of each kind: a compilation costs seconds."""


def _batches() -> dict[str, list[Row]]:
    """Rows of the table that can be one call: a NaN must stay where it is."""
    batches: dict[str, list[Row]] = {}
    for row in TABLE:
        alike = row.predictions.shape in ((3,), ()) and len(row.dtypes) > 1 and not row.options
        if alike and row.loss in COMPILED:
            batches.setdefault(row.loss, []).append(row)
    return batches


BATCHES = _batches()


@pytest.mark.parametrize("name", BATCHES)
def test_every_mode(harness: Harness, mode: str, name: str) -> None:
    """In every mode the rows of a batch do not disturb each other."""
    rows, dtype = BATCHES[name], "float32"
    loss, labels = rows[0].loss, list(rows[0].arrays(dtype))[1]
    arrays = [row.arrays(dtype) for row in rows]
    given = {k: harness.array(np.stack([a[k] for a in arrays])) for k in (rows[0].first, labels)}

    def call(*xs: Any) -> Any:
        return getattr(xentropy, loss)(*xs)

    f = harness.modes[mode](call)
    bound = compare.bound(loss, {})
    value = np.stack([np.asarray(row.value) for row in rows])
    assert_row(rows[0], dtype, harness.numpy(f(*given.values())), value, bound.value)
    gradient = np.stack([np.asarray(row.gradient) for row in rows])
    for got in own_gradient(harness, f, given, (rows[0].first,)).values():
        assert_row(rows[0], dtype, got, gradient, bound.gradient)


# --- shapes at the edge -----------------------------------------------------------------------

BY_ROW: list[tuple[str, dict[str, Any]]] = [
    ("sparse_softmax_cross_entropy", {"label_smoothing": 0.1}),
    ("softmax_cross_entropy", {}),
    ("softmax_focal_cross_entropy", {}),
    ("poly_cross_entropy", {"z_loss": 0.1}),
    ("kl_divergence", {}),
    ("categorical_cross_entropy", {}),
    ("sparse_categorical_cross_entropy", {}),
]
BY_NUMBER: list[tuple[str, dict[str, Any]]] = [
    ("sigmoid_cross_entropy", {"pos_weight": 2.0}),
    ("sigmoid_focal_cross_entropy", {}),
    ("binary_cross_entropy", {}),
    *((loss, {}) for loss in ERRORS),
]


def empty(harness: Harness, loss: str, classes: int) -> tuple[Any, Any]:
    """Return predictions and labels of no examples."""
    x = np.zeros((0, classes), np.float32)
    labels = np.zeros(0, np.int64) if loss.startswith("sparse_") else x
    return harness.array(x), harness.array(labels)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize(("loss", "options"), BY_ROW + BY_NUMBER, ids=str)
def test_no_examples(harness: Harness, loss: str, options: dict[str, Any], reduction: str) -> None:
    x, labels = empty(harness, loss, 3)
    f = xentropy.value_and_grad(getattr(xentropy, loss))
    value, grad = f(x, labels, reduction=reduction, **options)
    shape = (0,) if (loss, options) in BY_ROW else (0, 3)
    want = np.zeros(shape if reduction == "none" else (), np.float32)
    np.testing.assert_array_equal(harness.numpy(value), want, strict=True)
    assert harness.numpy(grad).shape == (0, 3)


@pytest.mark.parametrize(("loss", "options"), BY_ROW, ids=str)
def test_no_classes(harness: Harness, loss: str, options: dict[str, Any]) -> None:
    for n in (0, 2):
        x = np.zeros((n, 0), np.float32)
        labels = np.zeros(n, np.int64) if loss.startswith("sparse_") else x
        with pytest.raises(xentropy.ShapeError):
            getattr(xentropy, loss)(harness.array(x), harness.array(labels), **options)


@pytest.mark.parametrize("loss", ["logsumexp", "log_softmax"])
def test_no_classes_to_normalize(harness: Harness, loss: str) -> None:
    with pytest.raises(xentropy.ShapeError):
        getattr(xentropy, loss)(harness.array(np.zeros((2, 0), np.float32)))


ALL_OUT: dict[str, dict[str, Any]] = {
    "where": {"where": np.zeros(2, bool)},
    "where scalar": {"where": np.array(False)},
    "sample_weight": {"sample_weight": np.zeros(2, np.float32)},
    "ignore_index": {"ignore_index": 9},
}


@pytest.mark.parametrize("out", ALL_OUT)
@pytest.mark.parametrize("mean", [{}, {"denominator": 0.0}], ids=str)
def test_all_left_out(harness: Harness, out: str, mean: dict[str, Any]) -> None:
    """The mean is 0 and so is its gradient, also by the weights, which are finite."""
    x = np.array([[0, 1, 2], [3, 4, 5]], np.float32)
    arrays = {"class_weight": np.ones(3, np.float32), "sample_weight": np.ones(2, np.float32)}
    arrays |= {k: v for k, v in ALL_OUT[out].items() if isinstance(v, np.ndarray)}
    given = {k: harness.array(v) for k, v in arrays.items()}
    labels, numbers = (
        harness.array(np.array([9, 9])),
        {k: v for k, v in ALL_OUT[out].items() if k not in arrays},
    )
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy, ("logits", "class_weight"))
    value, grads = f(harness.array(x), labels, **given, **numbers, reduction="mean", **mean)
    np.testing.assert_array_equal(harness.numpy(value), np.float32(0), strict=True)
    for grad, like in zip(grads, (x, arrays["class_weight"]), strict=True):
        np.testing.assert_array_equal(harness.numpy(grad), np.zeros_like(like), strict=True)


def test_the_comparison_sees_what_it_should() -> None:
    """A NaN, an infinity or a 0 in the wrong place is a fault."""
    row = TABLE[0]
    for got, want in ((0.0, TINY), (INF, NAN), (0.0, NAN), (-INF, INF), (MOST["float32"], INF)):
        with pytest.raises(AssertionError, match="ulp, at most"):
            assert_row(row, "float32", np.array(got, np.float32), want, compare.GRADIENT)
