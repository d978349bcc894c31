"""The slow truth, its bulk form and the comparison in ulp: known answers, planted faults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xentropy.parity import bulk, compare, oracle
from xentropy.parity.oracle import evaluate, mp

Array: TypeAlias = npt.NDArray[Any]

INF, NAN = np.inf, np.nan
ROWS, CLASSES = 3, 4
RNG = np.random.default_rng(20)
LOGITS = RNG.normal(size=(ROWS, CLASSES)) * 2
PROBS = RNG.uniform(0.05, 0.95, (ROWS, CLASSES))
SHARES = RNG.dirichlet(np.ones(CLASSES), ROWS)
BITS = np.arange(ROWS * CLASSES).reshape(ROWS, CLASSES) % 3 == 1
INDEX = np.array([2, 0, 3])
ONE_HOT = np.eye(CLASSES)[INDEX]
WEIGHTS = RNG.uniform(0.5, 2.0, CLASSES)
EACH = np.array([0.5, 2.0, 1.25])
KEPT = np.array([True, True, False, True])
SOME = np.array([True, False, True])

SOFTMAX: dict[str, Any] = {
    "class_weight": WEIGHTS,
    "label_smoothing": 0.25,
    "z_loss": 0.01,
    "sample_weight": EACH,
    "where": SOME,
}
GRID = EACH[:, None] * np.ones(CLASSES)
CASES: dict[str, tuple[str, Array, Array | None, dict[str, Any], tuple[str, ...]]] = {
    "index": ("cross_entropy", LOGITS, INDEX, {}, ("logits",)),
    "index all options": (
        "sparse_softmax_cross_entropy",
        LOGITS,
        INDEX,
        SOFTMAX | {"class_mask": np.array([True, False, True, True]), "ignore_index": 3},
        ("logits", "class_weight", "sample_weight"),
    ),
    "dense": ("cross_entropy", LOGITS, SHARES, {}, ("logits", "labels")),
    "dense all options": (
        "softmax_cross_entropy",
        LOGITS,
        SHARES,
        SOFTMAX,
        ("logits", "labels", "class_weight", "sample_weight"),
    ),
    "dense on axis 0": (
        "softmax_cross_entropy",
        LOGITS,
        SHARES,
        {"class_weight": EACH, "axis": 0, "sample_weight": WEIGHTS},
        ("logits", "labels", "class_weight", "sample_weight"),
    ),
    "broadcast": (
        "softmax_cross_entropy",
        LOGITS,
        SHARES[:1],
        {"class_weight": np.array(1.5), "sample_weight": np.array([2.0])},
        ("logits", "labels", "class_weight", "sample_weight"),
    ),
    "sigmoid": (
        "sigmoid_cross_entropy",
        LOGITS,
        SHARES,
        {"pos_weight": WEIGHTS, "label_smoothing": 0.25, "sample_weight": GRID},
        ("logits", "labels", "pos_weight", "sample_weight"),
    ),
    "sigmoid weighted": (
        "weighted_sigmoid_cross_entropy",
        LOGITS,
        BITS,
        {"pos_weight": 3.0},
        ("logits", "pos_weight"),
    ),
    "sigmoid hard": ("sigmoid_cross_entropy", LOGITS, BITS, {}, ("logits", "labels")),
    "binary": (
        "binary_cross_entropy",
        PROBS,
        SHARES,
        {"label_smoothing": 0.25, "where": BITS},
        ("probs", "labels"),
    ),
    "categorical": (
        "categorical_cross_entropy",
        PROBS,
        SHARES,
        {"class_weight": WEIGHTS, "label_smoothing": 0.25},
        ("probs", "labels", "class_weight"),
    ),
    "categorical index": (
        "sparse_categorical_cross_entropy",
        PROBS,
        INDEX,
        {"class_weight": WEIGHTS, "ignore_index": 2},
        ("probs", "class_weight"),
    ),
    "sigmoid focal": (
        "sigmoid_focal_cross_entropy",
        LOGITS,
        SHARES,
        {"alpha": 0.25, "gamma": 1.5, "label_smoothing": 0.25},
        ("logits", "labels", "alpha"),
    ),
    "sigmoid focal hard": (
        "sigmoid_focal_cross_entropy",
        LOGITS,
        BITS,
        {},
        ("logits", "labels"),
    ),
    "softmax focal": (
        "softmax_focal_cross_entropy",
        LOGITS,
        SHARES,
        {"alpha": WEIGHTS, "gamma": 1.5, "sample_weight": EACH},
        ("logits", "labels", "alpha", "sample_weight"),
    ),
    "softmax focal index": ("softmax_focal_cross_entropy", LOGITS, INDEX, {}, ("logits",)),
    "poly": (
        "poly_cross_entropy",
        LOGITS,
        SHARES,
        SOFTMAX | {"epsilon": -0.75},
        ("logits", "labels", "class_weight", "sample_weight"),
    ),
    "poly index": ("poly_cross_entropy", LOGITS, INDEX, {"epsilon": 2.0}, ("logits",)),
    "kl": ("kl_divergence", LOGITS, SHARES, {"temperature": 2.5}, ("logits", "labels")),
    "squared": ("squared_error", LOGITS, PROBS, {}, ("predictions", "targets")),
    "mean squared": (
        "mean_squared_error",
        LOGITS,
        PROBS,
        {"sample_weight": GRID},
        ("predictions", "sample_weight"),
    ),
    "absolute": ("absolute_error", LOGITS, PROBS, {}, ("predictions", "targets")),
    "mean absolute": ("mean_absolute_error", LOGITS, PROBS[:, :1], {}, ("targets",)),
    "log cosh": ("log_cosh", LOGITS, PROBS, {}, ("predictions", "targets")),
    "huber": ("huber", LOGITS, PROBS, {"delta": 0.75}, ("predictions", "targets")),
    "smooth l1": ("smooth_l1", LOGITS, PROBS, {"beta": 0.75}, ("predictions", "targets")),
    "smooth l1 at 0": ("smooth_l1", LOGITS, PROBS, {"beta": 0.0}, ("predictions",)),
    "logsumexp": ("logsumexp", LOGITS, None, {"where": KEPT, "keepdims": True}, ("x",)),
    "log softmax": ("log_softmax", LOGITS, None, {"axis": 0}, ("x",)),
}
IN_BULK = [name for name, case in CASES.items() if case[0] in bulk.LOSSES]
"""Of these, the gradient by the predictions."""


@np.errstate(all="ignore")
def exact(array: Any) -> Array:
    """Return mpf of float64 or longdouble numbers, all digits kept."""
    m, e = np.frexp(np.atleast_1d(array))
    high = m.astype(np.float64)
    low = np.where(np.isfinite(high), m - np.where(np.isfinite(high), high, 0), 0)
    join = np.frompyfunc(lambda h, lo, k: mp.ldexp(mp.mpf(h) + mp.mpf(lo), int(k)), 3, 1)
    joined = join(high.astype(object), low.astype(np.float64).astype(object), e.astype(object))
    return np.asarray(joined, dtype=object).reshape(np.shape(array))


def floats(array: Array) -> Array:
    return np.asarray(array, dtype=np.float64)


def total(name: str, replaced: Mapping[str, Array]) -> Any:
    """Return the summed loss of a case with some arguments replaced by arrays of mpf."""
    loss, x, t, options, _ = CASES[name]
    given: dict[str, Any] = dict(replaced)
    x = next((given.pop(k) for k in ("logits", "probs", "predictions", "x") if k in given), x)
    t = next((given.pop(k) for k in ("labels", "targets") if k in given), t)
    truth = evaluate(loss, x, t, dtype="float64", **(options | given))
    return oracle.reduce(truth, "sum")


def argument(name: str, wrt: str) -> Array:
    _, x, t, options, _ = CASES[name]
    if wrt in ("labels", "targets"):
        return exact(np.asarray(t, dtype=np.float64))
    return exact(np.asarray(options.get(wrt, x), dtype=np.float64))


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_central_differences(name: str) -> None:
    loss, x, t, options, names = CASES[name]
    truth = evaluate(loss, x, t, dtype="float64", wrt=names, **options)
    h = mp.mpf(10) ** -18
    for wrt in names:
        at = argument(name, wrt)
        slope = np.empty_like(at)
        for i in np.ndindex(at.shape):
            up, down = at.copy(), at.copy()
            up[i], down[i] = at[i] + h, at[i] - h
            slope[i] = (total(name, {wrt: up}) - total(name, {wrt: down})) / (2 * h)
        assert truth.grads[wrt].shape == slope.shape
        # Rounded to float64 the differences are the gradient, correctly rounded.
        off = compare.ulp_errors(floats(slope), truth.grads[wrt], truth.grad_scales[wrt], "float64")
        assert np.max(off) <= compare.ROUNDING, (wrt, off)
        assert np.all(np.abs(truth.grads[wrt]) <= truth.grad_scales[wrt] * (1 + h))


@pytest.mark.parametrize("name", CASES)
def test_values_do_not_exceed_their_scales(name: str) -> None:
    loss, x, t, options, _ = CASES[name]
    truth = evaluate(loss, x, t, dtype="float64", **options)
    assert truth.value.shape == truth.value_scale.shape == truth.weight.shape
    assert np.all(np.abs(truth.value) <= truth.value_scale)


def test_scales_count_the_terms_that_cancel() -> None:
    wrt = ("logits",)
    half = np.array([0.5])
    for loss, scale in (("sigmoid_cross_entropy", 1.0), ("sigmoid_focal_cross_entropy", 0.25)):
        truth = evaluate(loss, np.zeros(1), half, dtype="float64", wrt=wrt)
        assert truth.grads["logits"][0] == 0
        assert truth.grad_scales["logits"][0] >= scale
    # The logsumexp of these two is next to nothing, and no more accurate than they are.
    logits, nothing = np.full((1, 2), -np.log(2)), np.zeros(2)
    options: dict[str, Any] = {"class_weight": nothing, "z_loss": 1.0, "wrt": wrt}
    truth = evaluate("cross_entropy", logits, np.zeros(1, int), dtype="float64", **options)
    assert truth.grad_scales["logits"][0, 0] == -exact(logits)[0, 0]


def mpf(text: str) -> Any:
    """Evaluate an expression over the functions of mpmath."""
    return eval(text, {name: getattr(mp, name) for name in ("exp", "log", "log1p", "mpf", "inf")})


KNOWN: list[tuple[str, Any, Any, dict[str, Any], str]] = [
    ("cross_entropy", [40, 0, 0], 0, {}, "log1p(2 * exp(-40))"),
    ("cross_entropy", [1000, 0], 0, {}, "exp(-1000)"),
    ("cross_entropy", [1e30, 0], 1, {}, f"mpf({1e30!r})"),
    ("cross_entropy", [1e308, -1e308], 1, {}, f"2 * mpf({1e308!r})"),
    ("cross_entropy", [7, 7, 7, 7], 2, {}, "log(4)"),
    ("cross_entropy", [7, 7, 7, 7], 2, {"class_mask": KEPT | SOME[[0, 1, 0, 0]]}, "log(4)"),
    ("cross_entropy", [7, 9, 7, 7], 2, {"class_mask": [True, False, True, True]}, "log(3)"),
    ("cross_entropy", [0, 0], 1, {"class_weight": [1, 0.25]}, "log(2) / 4"),
    ("cross_entropy", [0, 0], 1, {"label_smoothing": 0.5, "z_loss": 0.5}, "log(2) + log(2)**2 / 2"),
    ("cross_entropy", [3], 0, {"label_smoothing": 0.5}, "mpf(0)"),
    ("cross_entropy", [0, 0], [3.0, 2.0], {}, "5 * log(2)"),
    ("sigmoid_cross_entropy", 0, 1, {"pos_weight": 3}, "3 * log(2)"),
    ("sigmoid_cross_entropy", 50, 1, {}, "log1p(exp(-50))"),
    ("sigmoid_cross_entropy", -50, 1, {}, "50 + log1p(exp(-50))"),
    ("binary_cross_entropy", 0.25, 1, {}, "log(4)"),
    ("binary_cross_entropy", 0.25, 0, {"label_smoothing": 1}, "(log(4) + log(4) - log(3)) / 2"),
    ("categorical_cross_entropy", [0.25, 0.75], [1, 0], {}, "log(4)"),
    ("sparse_categorical_cross_entropy", [0.5, 0.75], 0, {}, "log(2)"),
    ("sigmoid_focal_cross_entropy", 0, 1, {"alpha": 0.25}, "log(2) / 16"),
    ("sigmoid_focal_cross_entropy", 0, 0, {"alpha": 0.25, "gamma": 1}, "3 * log(2) / 8"),
    ("softmax_focal_cross_entropy", [0, 0], 1, {"alpha": 0.5}, "log(2) / 8"),
    ("poly_cross_entropy", [0, 0], 1, {"epsilon": 3}, "log(2) + mpf(1.5)"),
    ("kl_divergence", [2, 2], [1, 0], {"temperature": 3}, "9 * log(2)"),
    ("kl_divergence", [5, 5], [0.5, 0.5], {}, "mpf(0)"),
    ("squared_error", 5, 2, {}, "mpf(9)"),
    ("absolute_error", 2, 5, {}, "mpf(3)"),
    ("log_cosh", 1, 1 - 2.0**-40, {}, "mpf(2) ** -81"),
    ("log_cosh", 1e-100, 0, {}, f"mpf({1e-100!r}) ** 2 / 2"),
    ("log_cosh", 1e5, 0, {}, "100000 - log(2)"),
    ("huber", 3, 0, {}, "mpf(2.5)"),
    ("huber", 3, 0, {"delta": 4}, "mpf(4.5)"),
    ("smooth_l1", 3, 0, {"beta": 2}, "mpf(2)"),
    ("smooth_l1", 3, 0, {"beta": 0}, "mpf(3)"),
    ("logsumexp", [40, 40], None, {}, "40 + log(2)"),
    ("logsumexp", [-INF, -INF], None, {}, "-inf"),
    ("logsumexp", [-INF, INF], None, {}, "inf"),
    ("logsumexp", [5, 6], None, {"where": [False, False]}, "-inf"),
    ("log_softmax", [40], None, {}, "mpf(0)"),
]


@pytest.mark.parametrize("case", KNOWN, ids=str)
def test_known_answers(case: tuple[str, Any, Any, dict[str, Any], str]) -> None:
    loss, x, t, options, expected = case
    labels = None if t is None else np.asarray(t)
    truth = evaluate(loss, np.asarray(x, dtype=np.float64), labels, dtype="float64", **options)
    got, want = truth.value.reshape(-1)[0], mpf(expected)
    if mp.isfinite(want):
        off = compare.ulp_errors(floats(got), want, abs(want), "float64")
        assert off <= compare.ROUNDING
    else:
        assert got == want


def test_a_confident_row_keeps_its_digits() -> None:
    logits = np.array([[40, 0, 0]], np.float32)
    truth = evaluate("cross_entropy", logits, np.array([0]), dtype="float32", wrt=("logits",))
    assert f"{float(truth.value[0]):.1e}" == "8.5e-18"
    assert f"{float(truth.grads['logits'][0, 0]):.1e}" == "-8.5e-18"
    assert truth.grad_scales["logits"][0, 0] == -truth.grads["logits"][0, 0]


def test_constants_added_to_all_logits_change_nothing() -> None:
    logits, names = np.array([[3.0, -1.0, 0.5]]), ("logits",)
    a = evaluate("cross_entropy", logits, np.array([1]), dtype="float64", wrt=names)
    b = evaluate("cross_entropy", logits + 2.0**40, np.array([1]), dtype="float64", wrt=names)
    assert a.value[0] == b.value[0]
    assert np.all(a.grads["logits"] == b.grads["logits"])


TABLE: list[tuple[str, list[float], Any, dict[str, Any], float, list[float]]] = [
    # loss, a row, its label, options, the loss and the gradient of the row
    ("cross_entropy", [0, -INF, 0], 0, {}, float(np.log(2)), [-0.5, 0, 0.5]),
    ("cross_entropy", [0, -INF, 0], [1, 0, 0], {}, float(np.log(2)), [-0.5, 0, 0.5]),
    ("cross_entropy", [0, -INF, 0], 1, {}, INF, [0.5, -1, 0.5]),
    ("cross_entropy", [0, -INF], 0, {"label_smoothing": 0.5}, INF, [0.25, -0.25]),
    (
        "cross_entropy",
        [0, -INF],
        0,
        {"label_smoothing": 0.5, "class_mask": [True, False]},
        0,
        [0, 0],
    ),
    (
        "cross_entropy",
        [0, NAN, 0],
        0,
        {"class_mask": [True, False, True]},
        np.log(2),
        [-0.5, 0, 0.5],
    ),
    ("cross_entropy", [0, NAN, 0], 1, {"class_mask": [True, False, True]}, INF, [0.5, 0, 0.5]),
    ("cross_entropy", [0, 1], 1, {"class_mask": [False, False]}, NAN, [0, 0]),
    ("cross_entropy", [0, -INF], 1, {"class_weight": [1, 0]}, 0, [0, 0]),
    ("cross_entropy", [-INF, -INF], 0, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [INF, 0], 0, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [NAN, 0], 1, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [0, 0], 2, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [0, 0], -1, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [NAN, INF], -1, {"ignore_index": -1}, 0, [0, 0]),
    ("softmax_focal_cross_entropy", [0, -INF], 1, {}, INF, [1, -1]),
    ("softmax_focal_cross_entropy", [0, -INF], 0, {"gamma": 0.5}, 0, [0, 0]),
    ("poly_cross_entropy", [0, -INF], 1, {}, INF, [1, -1]),
    ("kl_divergence", [0, -INF], [1, 0], {}, 0, [0, 0]),
    ("kl_divergence", [0, -INF], [0.5, 0.5], {"temperature": 2}, INF, [1, -1]),
    ("sigmoid_cross_entropy", [INF], [1], {}, 0, [0]),
    ("sigmoid_cross_entropy", [-INF], [0], {}, 0, [0]),
    ("sigmoid_cross_entropy", [INF], [0], {}, INF, [1]),
    ("sigmoid_cross_entropy", [-INF], [1], {"pos_weight": 3}, INF, [-3]),
    ("sigmoid_cross_entropy", [NAN], [1], {"pos_weight": 0}, NAN, [NAN]),
    ("sigmoid_focal_cross_entropy", [INF], [1], {}, 0, [0]),
    ("sigmoid_focal_cross_entropy", [-INF], [1], {"alpha": 0.25}, INF, [-0.25]),
    ("sigmoid_focal_cross_entropy", [INF], [1], {"gamma": 0}, 0, [0]),
    ("binary_cross_entropy", [0], [0], {}, 0, [1]),
    ("binary_cross_entropy", [1], [1], {}, 0, [-1]),
    ("binary_cross_entropy", [0], [1], {}, INF, [-INF]),
    ("binary_cross_entropy", [1], [0], {}, INF, [INF]),
    ("binary_cross_entropy", [NAN], [0], {}, NAN, [NAN]),
    ("categorical_cross_entropy", [0, 1], [0, 1], {}, 0, [0, -1]),
    ("categorical_cross_entropy", [0, 1], [1, 0], {}, INF, [-INF, 0]),
    ("sparse_categorical_cross_entropy", [0, 1], 2, {}, NAN, [NAN, NAN]),
    ("absolute_error", [2], [2], {}, 0, [0]),
    ("huber", [2], [2], {}, 0, [0]),
    ("smooth_l1", [2], [2], {"beta": 0}, 0, [0]),
    ("huber", [-INF], [2], {"delta": 3}, INF, [-3]),
    ("squared_error", [INF], [INF], {}, NAN, [NAN]),
    ("log_cosh", [-INF], [0], {}, INF, [-1]),
    ("logsumexp", [0, NAN], None, {}, NAN, [NAN, NAN]),
    ("logsumexp", [0, NAN], None, {"where": [True, False]}, 0, [1, 0]),
    ("log_softmax", [0, NAN], None, {"where": [False, True]}, NAN, [0, NAN]),
]
FIRST = {"binary_": "probs", "categor": "probs", "sparse_": "probs", "logsume": "x", "log_sof": "x"}
FIRST |= dict.fromkeys(("absolut", "huber", "smooth_", "squared", "log_cos"), "predictions")


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_extremes(case: tuple[str, list[float], Any, dict[str, Any], float, list[float]]) -> None:
    loss, x, t, options, value, gradient = case
    first, labels = FIRST.get(loss[:7], "logits"), None if t is None else np.asarray(t)
    truth = evaluate(loss, np.asarray(x), labels, dtype="float64", wrt=(first,), **options)
    np.testing.assert_array_equal(floats(truth.value).reshape(-1)[-1], value)
    np.testing.assert_array_equal(floats(truth.grads[first]), gradient)


def test_nan_stays_in_its_row() -> None:
    logits = np.array([[0.0, NAN], [0.0, 0.0], [0.0, 0.0]])
    weights: dict[str, Any] = {"sample_weight": np.ones(3), "class_weight": np.ones(2)}
    names = ("logits", "sample_weight", "class_weight")
    labels = np.array([0, 2, 1])
    truth = evaluate("cross_entropy", logits, labels, dtype="float64", wrt=names, **weights)
    bad = [True, True, False]
    np.testing.assert_array_equal(np.isnan(floats(truth.value)), bad)
    np.testing.assert_array_equal(np.isnan(floats(truth.grads["sample_weight"])), bad)
    np.testing.assert_array_equal(np.isnan(floats(truth.grads["logits"])).all(axis=1), bad)
    assert np.isfinite(floats(truth.grads["logits"][2])).all()
    assert np.isnan(floats(truth.grads["class_weight"])).all()
    some = evaluate("cross_entropy", logits, labels % 2, dtype="float64", wrt=names, **weights)
    np.testing.assert_array_equal(np.isnan(floats(some.grads["class_weight"])), [True, False])


def test_a_coefficient_of_zero_drops_an_infinity() -> None:
    logits, labels = np.array([[0.0, -INF, 0.0]]), np.array([[1.0, 0.0, 0.0]])
    options: dict[str, Any] = {
        "class_weight": np.array([2.0, 3.0, 0.0]),
        "wrt": ("labels", "class_weight"),
    }
    truth = evaluate("cross_entropy", logits, labels, dtype="float64", **options)
    log_2 = float(np.log(2))
    assert floats(truth.grads["labels"]).tolist() == [[2 * log_2, 0, 0]]
    assert floats(truth.grads["class_weight"]).tolist() == [log_2, 0, 0]


@pytest.mark.parametrize(
    "loss", ["cross_entropy", "poly_cross_entropy", "softmax_focal_cross_entropy"]
)
@pytest.mark.parametrize("name", ["class_weight", "label_smoothing", "z_loss", "class_mask"])
def test_one_hot_and_index_agree(loss: str, name: str) -> None:
    options = SOFTMAX | {"class_mask": np.array([True, False, True, True])}
    given: dict[str, Any] = {"sample_weight": EACH}
    if loss != "softmax_focal_cross_entropy":
        given[name] = options[name]
    names = ("logits", "sample_weight")
    a = evaluate(loss, LOGITS, INDEX, dtype="float64", wrt=names, **given)
    b = evaluate(loss, LOGITS, ONE_HOT, dtype="float64", wrt=names, **given)
    for wrt in names:
        assert np.all(a.grads[wrt] == b.grads[wrt])
        assert np.all(a.grad_scales[wrt] == b.grad_scales[wrt])
    assert np.all(a.value == b.value)
    assert np.all(a.weight == b.weight)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int64", "uint64"])
def test_ignore_index_is_compared_by_value(dtype: str) -> None:
    labels = np.array([0, 3, 1], dtype)
    kept = evaluate("cross_entropy", LOGITS, labels, dtype="float64", ignore_index=3 - 256)
    assert np.all(kept.weight == 1)
    left_out = evaluate("cross_entropy", LOGITS, labels, dtype="float64", ignore_index=3)
    where = evaluate("cross_entropy", LOGITS, labels, dtype="float64", where=labels != 3)
    assert np.all(left_out.value == where.value)
    assert np.all(left_out.weight == where.weight)


def test_what_is_left_out_is_zero_whatever_it_holds() -> None:
    logits, labels = LOGITS.copy(), np.array([2, 99, -7])
    logits[1:] = [[NAN, INF, 0, 0], [-INF, -INF, -INF, -INF]]
    options: dict[str, Any] = {
        "where": np.array([True, False, True]),
        "sample_weight": np.array([1.0, NAN, 0.0]),
    }
    names = ("logits", "sample_weight", "class_weight")
    truth = evaluate(
        "cross_entropy", logits, labels, dtype="float64", wrt=names, class_weight=WEIGHTS, **options
    )
    assert np.all(truth.value[1:] == 0)
    assert np.all(truth.weight[1:] == 0)
    assert np.all(truth.grads["logits"][1:] == 0)
    assert np.all(truth.grads["sample_weight"][1:] == 0)
    assert np.isfinite(floats(truth.grads["class_weight"])).all()


def test_the_slope_at_a_sample_weight_of_zero_is_the_unweighted_loss() -> None:
    options: dict[str, Any] = {"dtype": "float64", "wrt": ("sample_weight",)}
    plain = evaluate("cross_entropy", LOGITS, INDEX, dtype="float64")
    none = evaluate("cross_entropy", LOGITS, INDEX, sample_weight=np.zeros(ROWS), **options)
    assert np.all(none.value == 0)
    assert np.all(none.grads["sample_weight"] == plain.value)
    one = evaluate("cross_entropy", LOGITS, INDEX, sample_weight=np.zeros(()), **options)
    assert one.grads["sample_weight"].shape == ()
    assert one.grads["sample_weight"].item() == oracle.reduce(plain, "sum")


def test_options_and_labels_are_taken_in_the_compute_dtype() -> None:
    def loss(x: Array, dtype: str, smoothing: float) -> Any:
        options: dict[str, Any] = {"label_smoothing": smoothing, "sample_weight": np.float64(0.1)}
        return evaluate("sigmoid_cross_entropy", x, 0.3, dtype=dtype, **options).value.item()

    x = np.array(0.1, np.float32)
    assert loss(x, "float32", 0.1) == loss(x, "float32", float(np.float32(0.1)))
    assert loss(x, "float32", 0.1) != loss(x.astype(np.float64), "float64", 0.1)
    for narrow in (np.float16, ml_dtypes.bfloat16, np.dtype(">f4")):
        y = np.asarray(0.1).astype(narrow)
        assert loss(y, "float32", 0.1) == loss(y.astype(np.float32), "float32", 0.1)
        assert loss(y, y.dtype.name, 0.1) == loss(y, "float32", 0.1)


def test_the_class_axis_may_be_anywhere() -> None:
    x = RNG.normal(size=(2, 3, 4))
    t = RNG.integers(0, 3, size=(2, 4))
    a = evaluate("cross_entropy", x, t, dtype="float64", wrt=("logits",), axis=1)
    moved = np.moveaxis(x, 1, -1)
    b = evaluate("cross_entropy", moved, t, dtype="float64", wrt=("logits",))
    assert np.all(a.value == b.value)
    assert np.all(a.grads["logits"] == np.moveaxis(b.grads["logits"], -1, 1))
    mask = np.array([True, True, False])
    spread = np.broadcast_to(mask[:, None], x.shape)
    one = evaluate("cross_entropy", x, t, dtype="float64", axis=-2, class_mask=mask)
    all_of_it = evaluate("cross_entropy", x, t, dtype="float64", axis=-2, class_mask=spread)
    assert np.all(one.value == all_of_it.value)


def test_empty_batches_and_scalars() -> None:
    none = np.zeros((0, 3))
    wrt = ("logits", "class_weight")
    truth = evaluate(
        "cross_entropy", none, np.zeros(0, int), dtype="float64", wrt=wrt, class_weight=np.ones(3)
    )
    assert truth.value.shape == (0,)
    assert truth.grads["logits"].shape == (0, 3)
    assert np.all(truth.grads["class_weight"] == np.zeros(3))
    assert oracle.reduce(truth, "mean") == oracle.reduce(truth, "sum") == 0
    assert evaluate("huber", np.array(3.0), 1, dtype="float64").value.shape == ()
    with pytest.raises(ValueError, match="at least one class"):
        evaluate("cross_entropy", np.zeros((2, 0)), np.zeros(2, int), dtype="float64")


def test_reductions() -> None:
    options: dict[str, Any] = {
        "class_weight": WEIGHTS,
        "sample_weight": EACH,
        "where": SOME,
        "label_smoothing": 0.5,
    }
    truth = evaluate("cross_entropy", LOGITS, INDEX, dtype="float64", **options)
    u = exact(EACH) * exact(WEIGHTS)[INDEX] * SOME.astype(int)
    assert np.all(truth.weight == u)
    added = sum(truth.value.tolist())
    assert oracle.reduce(truth, "sum") == added
    assert oracle.reduce(truth, "mean") == added / sum(u.tolist())
    assert oracle.reduce(truth, "mean", 8) == added / 8
    nothing = evaluate("cross_entropy", LOGITS, INDEX, dtype="float64", where=np.array(False))
    assert oracle.reduce(nothing, "mean") == 0
    assert oracle.reduce(truth, "mean", 0) == mp.inf
    with pytest.raises(ValueError, match="'mean'"):
        oracle.reduce(truth, "median")


def test_what_the_oracle_does_not_know_is_an_error() -> None:
    with pytest.raises(TypeError, match="pos_weight"):
        evaluate("cross_entropy", LOGITS, INDEX, dtype="float64", pos_weight=1.0)
    with pytest.raises(ValueError, match="index labels"):
        evaluate("sparse_softmax_cross_entropy", LOGITS, INDEX[:2], dtype="float64")
    with pytest.raises(ValueError, match="only by"):
        evaluate("cross_entropy", LOGITS, INDEX, dtype="float64", wrt=("labels",))


# --- the comparison ---------------------------------------------------------------------------


def step(numbers: Array, ulps: int) -> Array:
    """Move floats away from 0 by some steps of their dtype."""
    for _ in range(ulps):
        numbers = np.nextafter(numbers, np.copysign(np.inf, numbers).astype(numbers.dtype))
    return numbers


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_planted_faults_of_a_few_ulp_are_seen(name: str, dtype: str) -> None:
    loss, x, t, options, names = CASES[name]
    truth = evaluate(loss, x.astype(dtype), t, dtype=dtype, wrt=names[:1], **options)
    limit = compare.bound(loss, options)
    sets = [(truth.value, truth.value_scale, limit.value)]
    sets += [(truth.grads[n], truth.grad_scales[n], limit.gradient_in(dtype)) for n in names[:1]]
    for true, scale, most in sets:
        good = floats(true).astype(dtype)
        at = np.abs(good).argmax()
        assert good.flat[at] != 0
        assert np.max(compare.ulp_errors(good, true, scale, dtype)) <= compare.ROUNDING
        for fault in (compare.ROUNDING, 1.0):  # of an ulp above the bound
            ulps = most + compare.ROUNDING + fault
            bad = good.copy()
            spacing = compare.ulp(np.asarray(scale).reshape(-1)[at], dtype)
            bad.flat[at] += np.copysign(np.ceil(ulps) * spacing, good.flat[at])
            assert np.max(compare.ulp_errors(bad, true, scale, dtype)) > most


RANGES = {
    "float16": (-14, -24),
    "bfloat16": (-126, -133),
    "float32": (-126, -149),
    "float64": (-1022, -1074),
}
"""Exponents of the smallest normal number and of the smallest of all."""


@pytest.mark.parametrize("dtype", RANGES)
def test_the_ulp_is_the_spacing(dtype: str) -> None:
    tiny, smallest = (2.0**k for k in RANGES[dtype])
    form = np.asarray([1.0, 1.5, 2.0, 3.14, 1e-3, 1e4, tiny]).astype(dtype)
    up = np.nextafter(form, np.asarray(INF).astype(dtype))
    for y in (form.astype(np.float64), exact(form.astype(np.float64))):
        np.testing.assert_array_equal(compare.ulp(y, dtype), up.astype(float) - form.astype(float))
    for odd in (0.0, smallest, INF, NAN):
        assert compare.ulp(np.array(odd), dtype) == smallest


@given(st.integers(-126, 120), st.integers(0, 40), st.sampled_from((-1.0, 1.0)))
def test_steps_are_counted(exponent: int, ulps: int, sign: float) -> None:
    y = np.ldexp(np.full(1, sign, np.float32), exponent)  # where a binade starts
    got = step(y, ulps)
    for truth in (exact(y), y.astype(np.longdouble)):
        assert compare.ulp_errors(got, truth, np.abs(truth), "float32")[0] == ulps


def errors(
    got: list[Any], truth: list[Any], scale: list[Any], dtype: str = "float32"
) -> list[float]:
    """Return the errors, the same against mpf and longdouble."""
    out = [
        compare.ulp_errors(np.asarray(got, dtype), convert(truth), convert(scale), dtype).tolist()
        for convert in (
            lambda v: exact(np.asarray(v, np.longdouble)),
            lambda v: np.asarray(v, np.longdouble),
        )
    ]
    assert out[0] == out[1]
    return list(out[0])


def test_nan_and_infinities_must_agree_in_place_and_sign() -> None:
    assert errors([NAN, INF, -INF], [NAN, INF, -INF], [1, 1, 1]) == [0, 0, 0]
    assert errors([0, NAN, INF, 0, -INF, INF], [NAN, 0, 0, INF, INF, NAN], [1] * 6) == [INF] * 6


def test_an_overflow_of_the_dtype_is_no_error() -> None:
    assert errors([INF, -INF], [1e39, -1e39], [1e39, 1e39]) == [0, 0]
    assert errors([INF, INF], [1e38, -1e39], [1e38, 1e39]) == [INF, INF]
    assert errors([INF], [1e5], [1e5], "float16") == [0]


def test_below_the_smallest_normal_number_a_flush_is_no_error() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    assert errors([0, -0.0, tiny], [tiny / 3, tiny / 3, tiny / 3], [tiny / 3] * 3) == [0, 0, 0]
    wrong = errors([-tiny / 2, 0, 2 * tiny], [tiny / 4, 2 * tiny, tiny / 3], [0, 0, 0])
    assert min(wrong) > compare.VALUE
    assert errors([tiny / 2], [0], [0])[0] > compare.VALUE  # an exact 0 is no flush
    half = float(np.finfo(np.float16).tiny) / 2  # float16 has subnormals wherever float32 is normal
    assert errors([0], [half], [half], "float16")[0] > compare.VALUE
    assert float(evaluate("cross_entropy", np.array([1e4, 0]), 0, dtype="float64").value) == 0


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shapes differ"):
        compare.ulp_errors(np.zeros(3), np.zeros(1), np.zeros(3), "float64")


def test_the_bounds_are_those_promised() -> None:
    plain = compare.bound("softmax_cross_entropy", {})
    assert (plain.value, plain.gradient) == (compare.VALUE, compare.GRADIENT)
    assert plain.fused_gradient == compare.FUSED_GRADIENT
    sparse = compare.bound("sparse_softmax_cross_entropy", {"label_smoothing": 0.1})
    assert (sparse.fused_value, sparse.fused_gradient) == (compare.FUSED_VALUE, compare.GRADIENT)
    for gamma in (0.0, 2.0, 3.5):
        focal = compare.bound("sigmoid_focal_cross_entropy", {"gamma": gamma})
        assert focal.value == compare.VALUE * (1 + gamma)
        assert focal.gradient == compare.GRADIENT * (1 + gamma)
    assert compare.bound("softmax_focal_cross_entropy", {}).value == compare.VALUE * 3
    with pytest.raises(ValueError, match="dense"):
        compare.bound("linear_cross_entropy", {})


def test_a_narrow_gradient_adds_its_rounding() -> None:
    limit = compare.bound("cross_entropy", {})
    assert limit.gradient_in("float32") == limit.gradient_in("float64") == compare.GRADIENT
    names = ("logits",)
    x = (LOGITS * 3).astype(np.float16)
    truth = evaluate("cross_entropy", x, INDEX, dtype="float16", wrt=names)
    for dtype in ("float16", "bfloat16"):
        most = limit.gradient_in(dtype)
        assert compare.ROUNDING < most < 1
        good = floats(truth.grads["logits"]).astype(dtype)
        scale = truth.grad_scales["logits"]
        off = compare.ulp_errors(good, truth.grads["logits"], scale, dtype)
        assert np.max(off) <= most
        off = compare.ulp_errors(step(good, 1), truth.grads["logits"], scale, dtype)
        assert np.max(off) > most


def test_the_summary_is_maximum_and_median() -> None:
    assert compare.summary(np.array([[3.0, 1.0], [0.0, 2.0]])) == (3.0, 1.5)
    assert compare.summary(np.zeros((0, 2))) == (0.0, 0.0)


# --- in bulk ----------------------------------------------------------------------------------

needs_bits = pytest.mark.skipif(
    not bulk.supported(), reason="np.longdouble is float64 here: bulk refuses, as tested below"
)


def check_bulk(loss: str, x: Array, t: Any, dtype: str, options: Mapping[str, Any]) -> None:
    first = "predictions" if loss in ("squared_error", "absolute_error", "huber") else "logits"
    few = bulk.evaluate(loss, x, t, dtype=dtype, wrt=(first,), **options)
    true = evaluate(loss, x, t, dtype=dtype, wrt=(first,), **options)
    pairs = [
        (few.value, true.value, true.value_scale),
        (few.grads[first], true.grads[first], true.grad_scales[first]),
        (few.value_scale, true.value_scale, true.value_scale),
        (few.grad_scales[first], true.grad_scales[first], true.grad_scales[first]),
        (few.weight, true.weight, np.abs(true.weight)),
    ]
    for got, want, scale in pairs:
        assert got.dtype == np.longdouble
        assert got.shape == want.shape
        got, want, scale = (np.atleast_1d(v) for v in (got, want, scale))
        defined = np.abs(want) < INF
        np.testing.assert_array_equal(floats(got[~defined]), floats(want[~defined]))
        assert np.isfinite(got[defined]).all()
        gap = np.abs(exact(got[defined]) - want[defined])
        assert np.all(gap / compare.ulp(scale[defined], "float64") <= compare.BULK), (loss, options)


@needs_bits
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", IN_BULK)
def test_bulk_agrees_with_mpmath(name: str, dtype: str) -> None:
    loss, x, t, options, _ = CASES[name]
    for spread in (1, 100, 1e4):
        check_bulk(loss, (x * spread).astype(dtype), t, dtype, options)
    far = np.where(BITS, x - 640, x / 1024)  # x - max is not exact, even in longdouble
    check_bulk(loss, far.astype(dtype), t, dtype, options)
    if t is not INDEX:
        check_bulk(loss, x.astype(dtype), BITS, dtype, options)


@needs_bits
@pytest.mark.parametrize("case", [case for case in TABLE if case[0] in bulk.LOSSES], ids=str)
def test_bulk_agrees_at_extremes(
    case: tuple[str, list[float], Any, dict[str, Any], float, list[float]],
) -> None:
    loss, x, t, options, _, _ = case
    check_bulk(loss, np.asarray(x), np.asarray(t), "float64", options)


@needs_bits
def test_bulk_agrees_where_the_class_axis_and_masks_vary() -> None:
    x, t = RNG.normal(size=(3, 4, 5)) * 9, RNG.integers(0, 4, (3, 5)).astype(np.uint64)
    mask = np.arange(20).reshape(1, 4, 5) % 7 != 3
    for axis, labels in ((1, t), (-2, t), (1, np.array(0.25)), (0, RNG.integers(0, 3, (4, 5)))):
        options = {"axis": axis, "class_mask": mask, "ignore_index": 2}
        check_bulk("cross_entropy", x, labels, "float64", options)
    for k in (-254, 2**70):
        check_bulk("cross_entropy", x, t, "float64", {"axis": 1, "ignore_index": k})
    check_bulk("huber", x.astype(ml_dtypes.bfloat16), np.array(0.5), "bfloat16", {"delta": 0.1})


@needs_bits
def test_bulk_in_blocks_is_bulk_at_once() -> None:
    x, t = RNG.normal(size=(50, 7)).astype(np.float32), RNG.integers(0, 7, 50)
    options: dict[str, Any] = {"dtype": "float32", "wrt": ("logits",), "label_smoothing": 0.1}
    whole = bulk.evaluate("cross_entropy", x, t, **options)
    parts = list(bulk.blocks("cross_entropy", x, t, size=30, **options))
    assert [rows.stop - rows.start for rows, _ in parts[:2]] == [4, 4]
    assert sum(rows.stop - rows.start for rows, _ in parts) == len(x)
    for rows, part in parts:
        np.testing.assert_array_equal(part.value, whole.value[rows])
        np.testing.assert_array_equal(part.grads["logits"], whole.grads["logits"][rows])
    truth = evaluate("cross_entropy", x, t, dtype="float32", label_smoothing=0.1)
    for reduction, denominator in (("sum", None), ("mean", None), ("mean", 64.0)):
        got = exact(bulk.reduce(whole, reduction, denominator)).item()
        want = oracle.reduce(truth, reduction, denominator)
        assert abs(got - want) <= compare.BULK * compare.ulp(want, "float64")


@needs_bits
def test_a_fault_of_an_ulp_is_seen_in_bulk() -> None:
    x, t = RNG.normal(size=(40, 30)).astype(np.float32), RNG.integers(0, 30, 40)
    truth = bulk.evaluate("cross_entropy", x, t, dtype="float32", wrt=("logits",))
    good = truth.grads["logits"].astype(np.float32)
    args = truth.grads["logits"], truth.grad_scales["logits"], "float32"
    assert np.max(compare.ulp_errors(good, *args)) <= compare.ROUNDING
    assert np.min(compare.ulp_errors(step(good, 1), *args)) >= compare.ROUNDING


@needs_bits
def test_what_bulk_does_not_know_is_an_error() -> None:
    with pytest.raises(ValueError, match="log_cosh"):
        bulk.evaluate("log_cosh", LOGITS, PROBS, dtype="float64")
    with pytest.raises(ValueError, match="labels"):
        bulk.evaluate("cross_entropy", LOGITS, SHARES, dtype="float64", wrt=("labels",))
    with pytest.raises(TypeError, match="gamma"):
        bulk.evaluate("cross_entropy", LOGITS, SHARES, dtype="float64", gamma=2.0)
    with pytest.raises(ValueError, match="index labels"):
        bulk.evaluate("sparse_softmax_cross_entropy", LOGITS, INDEX[:2], dtype="float64")


def test_bulk_refuses_where_longdouble_is_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_BITS", np.finfo(np.float64).nmant + 1)
    with pytest.raises(NotImplementedError, match="53 bits"):
        bulk.evaluate("cross_entropy", LOGITS, INDEX, dtype="float64")
