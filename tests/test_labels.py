"""Index labels: their dtypes, and what happens to those that name no class."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_true, assert_within
from tests.cases import Array, own_gradient, rng, single
from xentropy.parity import compare, oracle
from xentropy.testing import Harness

WIDTHS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
LOSSES = (
    "sparse_softmax_cross_entropy",
    "cross_entropy",
    "sparse_categorical_cross_entropy",
    "softmax_focal_cross_entropy",
    "poly_cross_entropy",
)
C = 5
X = rng("labels").uniform(0.1, 0.9, (4, C)).astype(np.float32)
GOOD = np.array([3, 0, 4, 1])


def first(loss: str) -> str:
    """Return the name of the predictions."""
    return "probs" if "categorical" in loss else "logits"


def assert_loss(loss: str, value: Array, grad: Array, labels: Array, **options: Any) -> None:
    """Compare with the truth, which is NaN for wrong labels."""
    name = first(loss)
    truth = oracle.evaluate(loss, X, labels, dtype="float32", wrt=(name,), **options)
    bound = compare.bound(loss, options)
    assert_true(truth, bound, value, {name: grad})


def run(harness: Harness, loss: str, labels: Array, **options: Any) -> tuple[Array, Array]:
    """Return the losses and their gradient."""
    f = xentropy.value_and_grad(getattr(xentropy, loss))
    value, grad = f(harness.array(X), harness.array(labels), **options)
    return harness.numpy(value), harness.numpy(grad)


@pytest.mark.parametrize(
    ("loss", "dtype"),
    [(LOSSES[0], dtype) for dtype in WIDTHS] + [(loss, "uint8") for loss in LOSSES[1:]],
)
def test_every_width(harness: Harness, loss: str, dtype: str) -> None:
    labels = GOOD.astype(dtype)
    value, grad = run(harness, loss, labels)
    assert_loss(loss, value, grad, labels)
    weak = getattr(xentropy, loss)(harness.array(X), labels)
    # One call is short, and in NumPy rounds in another place.
    np.testing.assert_array_max_ulp(harness.numpy(weak), value, 1)


def test_labels_beyond_the_width_of_others(harness: Harness) -> None:
    """200 classes do not fit in int8, and a uint8 of 199 is not -57."""
    x, labels = rng("wide").normal(size=(2, 200)).astype(np.float32), np.array([199, 130], np.uint8)
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    value, grad = f(harness.array(x), harness.array(labels))
    for got, want in zip(
        (value, grad), f(harness.array(x), harness.array(labels.astype(np.int64))), strict=True
    ):
        np.testing.assert_array_equal(harness.numpy(got), harness.numpy(want))
    short = np.array([127, 0], np.int8)
    value = xentropy.sparse_softmax_cross_entropy(harness.array(x), harness.array(short))
    truth = oracle.evaluate("cross_entropy", x, short, dtype="float32")
    bound = compare.bound("sparse_softmax_cross_entropy", {})
    assert_within(harness.numpy(value), truth.value, truth.value_scale, bound.value)


# --- ignore_index -----------------------------------------------------------------------------

IGNORED: list[tuple[str, int, list[int], list[bool]]] = [
    # dtype, ignore_index, labels, which are left out
    ("int64", -100, [-100, 0, 4, -100], [True, False, False, True]),
    ("int8", -100, [-100, 0, 4, 1], [True, False, False, False]),
    ("int64", 3, [3, 0, 4, 3], [True, False, False, True]),
    ("uint8", 255, [255, 0, 4, 1], [True, False, False, False]),
    ("uint8", -100, [3, 0, 4, 1], [False] * 4),
    ("int8", 156, [3, 0, 4, 1], [False] * 4),
    ("int8", 2**70, [3, 0, 4, 1], [False] * 4),
    ("uint64", 2**64 - 1, [2**64 - 1, 0, 4, 1], [True, False, False, False]),
    ("uint64", -1, [3, 0, 4, 1], [False] * 4),
    ("int64", -(2**63), [-(2**63), 0, 4, 1], [True, False, False, False]),
    ("uint32", 2**32 - 100, [2**32 - 100, 0, 4, 1], [True, False, False, False]),
    ("int32", 2**32 + 3, [3, 0, 4, 1], [False] * 4),
]


@pytest.mark.parametrize("case", IGNORED, ids=str)
def test_ignore_index(harness: Harness, case: tuple[str, int, list[int], list[bool]]) -> None:
    """Any integer, compared by value."""
    dtype, k, given, out = case
    labels = np.array(given, dtype)
    value, grad = run(harness, "sparse_softmax_cross_entropy", labels, ignore_index=k)
    assert_loss("sparse_softmax_cross_entropy", value, grad, labels, ignore_index=k)
    np.testing.assert_array_equal(value == 0, out)
    np.testing.assert_array_equal(np.all(grad == 0, axis=1), out)


@pytest.mark.parametrize("listed", [False, True], ids=["numpy", "list"])
@pytest.mark.parametrize(
    "case", [*IGNORED, ("int64", 2**32, [2**32, 0, 4, 1], [True] + [False] * 3)]
)
def test_ignore_index_of_weak_labels(
    harness: Harness, case: tuple[str, int, list[int], list[bool]], listed: bool
) -> None:
    """Also where the family has no integers of 64 bits, in which they would wrap."""
    dtype, k, given, out = case
    labels: Any = given if listed else np.array(given, dtype)
    x = harness.array(X.astype(np.float32))
    value = xentropy.sparse_softmax_cross_entropy(x, labels, ignore_index=k)
    np.testing.assert_array_equal(harness.numpy(value) == 0, out)


def test_what_wraps_to_ignore_index_is_wrong(harness: Harness, mode: str) -> None:
    """In uint8 156 is not -100: it names no class."""
    labels = np.array([1, 156, 0, 2], np.uint8)

    def call(x: Any, t: Any) -> Any:
        return xentropy.sparse_softmax_cross_entropy(x, t, ignore_index=-100)

    with refused(mode):
        value = harness.numpy(harness.modes[mode](call)(harness.array(X), harness.array(labels)))
        np.testing.assert_array_equal(np.isnan(value), [False, True, False, False])


# --- wrong labels -----------------------------------------------------------------------------

BAD: list[tuple[str, list[int]]] = [
    ("int64", [3, -1, 4, 1]),
    ("int64", [3, C, 4, 1]),
    ("int64", [3, -100, 2**62, 1]),
    ("int32", [-(2**31), 0, 4, 2**31 - 1]),
    ("int8", [3, -128, 127, 1]),
    ("uint8", [3, 255, 4, 1]),
    ("uint64", [2**63 + 3, 2**64 - 1, 2**63, 2**64 - 2]),
]


def refused(mode: str) -> contextlib.AbstractContextManager[Any]:
    """Return what to expect: labels that can be read are refused, others give NaN."""
    if mode == "eager":
        return pytest.raises(xentropy.LabelError)
    return contextlib.nullcontext()


@pytest.mark.parametrize("case", BAD, ids=str)
@pytest.mark.parametrize("loss", LOSSES)
def test_wrong_labels_are_refused(harness: Harness, loss: str, case: tuple[str, list[int]]) -> None:
    """Where they can be read, also inside a derivative and as NumPy arrays or lists."""
    labels = np.array(case[1], case[0])
    x, f = harness.array(X), getattr(xentropy, loss)
    for given in (harness.array(labels), labels, labels.tolist()):
        with pytest.raises(xentropy.LabelError):
            f(x, given)
    with pytest.raises(xentropy.LabelError):
        run(harness, loss, labels)
    for builtin in (ValueError, IndexError):
        with pytest.raises(builtin):
            f(x, harness.array(labels))


BEYOND = [
    # Python integers of which no integer dtype holds all, and where the first wrong one is.
    ([3, 2**70, 4, 1], 1),
    ([3, 0, -(2**70), 2**70], 2),
    ([3, 2**64 - 1, -1, 1], 1),
    ([3, 0, 4, 10**400], 3),
]


@pytest.mark.parametrize(("labels", "at"), BEYOND, ids=["wide", "two", "signs", "huge"])
@pytest.mark.parametrize("loss", LOSSES)
def test_integers_beyond_every_dtype(
    harness: Harness, loss: str, labels: list[int], at: int
) -> None:
    """They are wrong labels like any other: refused by value, or left out."""
    x, f = harness.array(X), getattr(xentropy, loss)
    with pytest.raises(xentropy.LabelError, match=rf"labels\[{at}\] is {labels[at]}\b"):
        f(x, labels)
    with pytest.raises(xentropy.LabelError, match=rf"labels is {labels[at]}\."):
        f(harness.array(X[0]), labels[at])
    keep = [0 <= k < C for k in labels]
    small = [k if kept else 0 for k, kept in zip(labels, keep, strict=True)]
    want = harness.numpy(f(x, small, where=keep))
    np.testing.assert_array_equal(harness.numpy(f(x, labels, where=keep)), want)
    if keep.count(False) == 1:
        value = harness.numpy(f(x, labels, ignore_index=labels[at]))
        np.testing.assert_array_equal(value, want)
        with pytest.raises(xentropy.LabelError):
            f(x, labels, ignore_index=-1)


def test_an_integer_beyond_every_dtype_is_nan_where_the_mask_is_mapped(harness: Harness) -> None:
    vmap = harness.transforms.get("vmap")
    if vmap is None:
        pytest.skip("nothing to map with: `Harness.transforms` has no vmap")
    keep = np.array([[True, True, True, True], [True, False, True, True]])
    value = vmap(
        lambda where: xentropy.sparse_softmax_cross_entropy(
            harness.array(X), [3, 2**70, 4, 1], where=where
        )
    )(harness.array(keep))
    np.testing.assert_array_equal(np.isnan(harness.numpy(value)), ~keep[::-1])
    np.testing.assert_array_equal(harness.numpy(value)[:, 1], [np.nan, 0.0])


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
def test_wrong_labels_are_refused_before_a_reduction(harness: Harness, reduction: str) -> None:
    loss: Any = xentropy.cross_entropy
    with pytest.raises(xentropy.LabelError):
        loss(harness.array(X), harness.array(GOOD + 1), reduction=reduction)


TRACED: list[tuple[str, str, dict[str, Any]]] = [
    # A compilation costs seconds: without options all losses are tested under the maps below.
    ("sparse_categorical_cross_entropy", "int32", {}),
    (
        "sparse_softmax_cross_entropy",
        "int8",
        {
            "label_smoothing": 0.1,
            "z_loss": 0.01,
            "class_mask": np.array([True, True, False, True, True]),
            "class_weight": single([1, 2, 0, 3, 1]),
        },
    ),
]


@pytest.mark.parametrize("case", TRACED, ids=str)
def test_in_every_mode_a_wrong_label_is_nan_or_refused(
    harness: Harness, mode: str, case: tuple[str, str, dict[str, Any]]
) -> None:
    """Never clamped, wrapped or 0; the other rows are what they are without it."""
    loss, dtype, options = case
    labels = np.array([3, C, 4, np.iinfo(dtype).max]).astype(dtype)
    arrays = {k: harness.array(v) for k, v in options.items() if isinstance(v, np.ndarray)}
    numbers = {k: v for k, v in options.items() if k not in arrays}

    def call(x: Any, t: Any) -> Any:
        return getattr(xentropy, loss)(x, t, **arrays, **numbers)

    f, given = harness.modes[mode](call), {"x": harness.array(X), "t": harness.array(labels)}
    with refused(mode):
        value = harness.numpy(f(*given.values()))
        grads = own_gradient(harness, f, given, ("x",))
        assert_loss(loss, value, grads["x"], labels, **options)
        np.testing.assert_array_equal(np.isnan(value), [False, True, False, True])


@pytest.mark.parametrize("loss", LOSSES)
def test_under_every_map_a_wrong_label_is_nan(harness: Harness, transform: str, loss: str) -> None:
    """Other transforms that only differentiate read the labels, and refuse."""
    labels = np.array([3, C, -1, 1])
    x, t = harness.array(X), harness.array(labels)
    f: Any = getattr(xentropy, loss)

    def mapped() -> None:
        grad = xentropy.value_and_grad(f)
        value, gradient = harness.transforms["vmap"](lambda y, k: grad(y, k))(x, t)
        assert_loss(loss, harness.numpy(value), harness.numpy(gradient), labels)

    def pushed() -> None:
        with pytest.raises(xentropy.LabelError):
            harness.transforms["jvp"](lambda y: f(y, t), (x,), (x,))

    def twice() -> None:
        with pytest.raises(xentropy.LabelError):
            harness.transforms["hessian"](lambda y: f(y, t, reduction="sum"), x)

    def turned() -> None:
        with pytest.raises(xentropy.LabelError):
            harness.transforms["jacobian"](lambda y: f(y, t), x)

    {"vmap": mapped, "jvp": pushed, "hessian": twice, "jacobian": turned}[transform]()


# --- labels that are left out -----------------------------------------------------------------

OUT = np.array([False, True, False, True])
LEFT_OUT: dict[str, dict[str, Any]] = {
    "where": {"where": ~OUT},
    "sample_weight": {"sample_weight": single([1, 0, 1, 0])},
    "ignore_index": {"ignore_index": -7, "where": np.array([True, True, True, False])},
}


@pytest.mark.parametrize("out", LEFT_OUT)
def test_wrong_labels_that_are_left_out(harness: Harness, mode: str, out: str) -> None:
    options = LEFT_OUT[out]
    arrays = {k: harness.array(v) for k, v in options.items() if isinstance(v, np.ndarray)}
    numbers = {k: v for k, v in options.items() if k not in arrays}

    def call(x: Any, t: Any, *more: Any) -> Any:
        given = dict(zip(arrays, more, strict=True))
        return xentropy.sparse_softmax_cross_entropy(x, t, **given, **numbers)

    f = harness.modes[mode](call)
    truth = oracle.evaluate("cross_entropy", X, np.where(OUT, 0, GOOD), dtype="float32")
    bound = compare.bound("sparse_softmax_cross_entropy", {})
    for wrong in (-7, C, 10**9):
        labels = np.where(OUT, -7 if numbers else wrong, GOOD)
        value = harness.numpy(f(harness.array(X), harness.array(labels), *arrays.values()))
        assert_within(value, np.where(OUT, 0, truth.value), truth.value_scale, bound.value)


@pytest.mark.parametrize("wrong", [-7, C])
def test_the_gradient_by_the_weight_of_examples_left_out(harness: Harness, wrong: int) -> None:
    """It is the unweighted loss where that is finite, and 0 where `where` leaves it out."""
    names = ("logits", "sample_weight")
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy, names)
    x = X.copy()
    x[3] = np.nan
    labels = np.array([3, wrong, 4, 1])
    weight, keep = single([0, 1, 2, 1]), np.array([True, False, True, False])
    _, (by_x, by_weight) = f(
        harness.array(x),
        harness.array(labels),
        sample_weight=harness.array(weight),
        where=harness.array(keep),
    )
    truth = oracle.evaluate(
        "cross_entropy", x, labels, dtype="float32", wrt=names, sample_weight=weight, where=keep
    )
    bound = compare.bound("sparse_softmax_cross_entropy", {})
    for name, got in zip(names, (by_x, by_weight), strict=True):
        assert_within(
            harness.numpy(got), truth.grads[name], truth.grad_scales[name], bound.gradient
        )
    assert truth.grads["sample_weight"][0] > 0
    assert np.all(harness.numpy(by_weight)[[1, 3]] == 0)
    assert np.all(harness.numpy(by_x)[[0, 1, 3]] == 0)


def test_a_clamped_label_would_be_seen() -> None:
    """What other libraries do with a wrong label is a fault here."""
    labels = np.array([3, C, 4, 1])
    truth = oracle.evaluate(
        "cross_entropy", X, np.minimum(labels, C - 1), dtype="float32", wrt=("logits",)
    )
    value, grad = (np.asarray(v, np.float32) for v in (truth.value, truth.grads["logits"]))
    for fault in (value, np.where(labels == C, 0, value)):
        with pytest.raises(AssertionError, match="ulp, at most"):
            assert_loss("cross_entropy", np.asarray(fault, np.float32), grad, labels)
