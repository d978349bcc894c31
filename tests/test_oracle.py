"""The slow truth: central differences, known answers, extremes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tests.oracle_calls import (
    CALLS,
    EACH,
    EXTREMES,
    INDEX,
    INF,
    KEPT,
    LOGITS,
    NAN,
    ONE_HOT,
    ROWS,
    SOFTMAX,
    SOME,
    WEIGHTS,
    Array,
    exact,
    floats,
)
from xentropy.parity import compare, layer, oracle
from xentropy.parity.cases import LOSSES, of_layer, positional
from xentropy.parity.oracle import evaluate, mp


def total(name: str, replaced: Mapping[str, Array]) -> Any:
    """Return the summed loss of a case with some arguments replaced by arrays of mpf."""
    loss, x, t, options, _ = CALLS[name]
    given: dict[str, Any] = dict(replaced)
    x = next((given.pop(k) for k in ("logits", "probs", "predictions", "x") if k in given), x)
    t = next((given.pop(k) for k in ("labels", "targets") if k in given), t)
    truth = evaluate(loss, x, t, dtype="float64", **(options | given))
    return oracle.reduce(truth, "sum")


def argument(name: str, wrt: str) -> Array:
    _, x, t, options, _ = CALLS[name]
    if wrt in ("labels", "targets"):
        return exact(np.asarray(t, dtype=np.float64))
    return exact(np.asarray(options.get(wrt, x), dtype=np.float64))


@pytest.mark.parametrize("name", CALLS)
def test_gradients_are_central_differences(name: str) -> None:
    loss, x, t, options, names = CALLS[name]
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


@pytest.mark.parametrize("loss", [*filter(of_layer, LOSSES)])
def test_gradients_of_a_layer_are_central_differences(loss: str) -> None:
    arrays: dict[str, Any] = {
        "hidden": exact(LOGITS),
        "weight": exact(LOGITS[::-1] / 2),
        "bias": exact(WEIGHTS[:3]),
    }
    labels = INDEX % 3 if "labels" in positional(loss) else None
    options: dict[str, Any] = {"labels": labels, "dtype": "float64", "scale": -0.75, "softcap": 2.0}
    truth = layer.evaluate(loss, **arrays, **options, wrt=tuple(arrays))
    assert np.all(np.abs(truth.value) <= truth.value_scale)
    h = mp.mpf(10) ** -18
    for name, array in arrays.items():
        for i in np.ndindex(array.shape):
            sums = []
            for step_ in (h, -h):
                moved = array.copy()
                moved[i] += step_
                near = layer.evaluate(loss, **arrays | {name: moved}, **options)
                sums.append(oracle.reduce(near, "sum"))
            got = floats((sums[0] - sums[1]) / (2 * h))
            grad, scale = truth.grads[name][i], truth.grad_scales[name][i]
            assert compare.ulp_errors(got, grad, abs(grad), "float64") <= compare.ROUNDING
            assert abs(grad) <= scale


@pytest.mark.parametrize("name", CALLS)
def test_values_do_not_exceed_their_scales(name: str) -> None:
    loss, x, t, options, _ = CALLS[name]
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
    ("softmax_statistics.log_prob", [1000, 0], 0, {}, "-exp(-1000)"),
    ("softmax_statistics.logsumexp", [40, 40], None, {"scale": 0.5}, "20 + log(2)"),
    ("softmax_statistics.entropy", [7, 7, 7, 7], None, {"class_mask": KEPT}, "log(3)"),
    ("softmax_statistics.entropy", [40, 0], None, {}, "log1p(exp(-40)) + 40 / (1 + exp(40))"),
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


FIRST = {"binary_": "probs", "categor": "probs", "sparse_": "probs", "logsume": "x", "log_sof": "x"}
FIRST |= dict.fromkeys(("absolut", "huber", "smooth_", "squared", "log_cos"), "predictions")


@pytest.mark.parametrize("case", EXTREMES, ids=str)
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
    rng = np.random.default_rng(21)
    x = rng.normal(size=(2, 3, 4))
    t = rng.integers(0, 3, size=(2, 4))
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
