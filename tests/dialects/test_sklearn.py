"""What the grid does not see of the dialect sklearn: kinds of results, warnings, traced labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases.case import need_dtype
from tests.dialects.case import array
from xentropy.dialects import sklearn as metrics
from xentropy.testing import Harness

Y = np.asarray([0, 1, 1, 0])
P = np.asarray([0.125, 0.5, 0.75, 0.25], np.float32)
ROWS = np.asarray([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], np.float32)
CALLS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "log_loss": (Y, P, {"labels": [0, 1]}),
    "brier_score_loss": (Y, P, {"pos_label": 1}),
    "mean_squared_error": (P[::-1].copy(), P, {}),
    "root_mean_squared_error": (P[::-1].copy(), P, {}),
    "mean_absolute_error": (P[::-1].copy(), P, {}),
    "mean_squared_log_error": (P[::-1].copy(), P, {}),
    "mean_pinball_loss": (P[::-1].copy(), P, {"alpha": 0.25}),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_number_where_nobody_differentiates(harness: Harness, name: str) -> None:
    y, p, options = CALLS[name]
    value = getattr(metrics, name)(harness.array(y), harness.array(p), **options)
    assert type(value) is float
    wide = getattr(metrics, name)(y, p.astype(np.float64), **options)
    assert value == pytest.approx(wide, rel=1e-6)


@pytest.mark.parametrize("name", CALLS)
def test_an_array_where_somebody_does(harness: Harness, name: str) -> None:
    y, p, options = CALLS[name]
    function = getattr(metrics, name)
    value, gradient = xentropy.value_and_grad(function, 1)(
        harness.array(y), harness.array(p), **options
    )
    assert harness.owns(value)
    assert harness.numpy(value).shape == ()
    assert harness.numpy(value).dtype == np.float32
    if not xentropy.backend_of(harness.array(p)).autodiff:
        return
    (own,) = harness.gradient(
        lambda x: function(harness.array(y), x, **options), (harness.array(p),), (0,)
    )
    np.testing.assert_array_equal(harness.numpy(own), harness.numpy(gradient))


@pytest.mark.parametrize("name", CALLS)
def test_every_mode(harness: Harness, mode: str, name: str) -> None:
    y, p, options = CALLS[name]
    function = getattr(metrics, name)
    run = harness.quick(mode)(lambda y, x: function(y, x, **options))
    value = run(harness.array(y), harness.array(p))
    if mode != "eager":
        value = harness.numpy(value)
    assert float(value) == pytest.approx(function(y, p, **options), rel=1e-6)


def test_the_gradient_by_weights(harness: Harness) -> None:
    w, shares = harness.array(np.asarray([1.0, 2.0], np.float32)), [1.0, 3.0, 2.0]
    x, t = harness.array(ROWS), harness.array(ROWS[:, ::-1].copy())
    for name in ("mean_squared_error", "root_mean_squared_error"):
        value, (by_w, by_u) = xentropy.value_and_grad(
            getattr(metrics, name), ("sample_weight", "multioutput")
        )(t, x, sample_weight=w, multioutput=harness.array(np.asarray(shares, np.float32)))
        assert harness.numpy(value).shape == ()
        assert np.abs(harness.numpy(by_w) @ np.asarray([1.0, 2.0])) < 1e-6
        assert np.abs(harness.numpy(by_u) @ np.asarray(shares)) < 1e-6
        assert np.abs(harness.numpy(by_u)).max() > 1e-3
    grad = xentropy.value_and_grad(metrics.log_loss, "sample_weight")
    by_w = harness.numpy(grad([0, 2], x, sample_weight=w, labels=[0, 1, 2])[1])
    np.testing.assert_allclose(by_w, np.log(2) * np.asarray([-2.0, 1.0]) / 9, rtol=1e-5)


@pytest.mark.parametrize("name", CALLS)
def test_bfloat16_which_scikit_learn_does_not_know(harness: Harness, name: str) -> None:
    need_dtype(harness, "bfloat16")
    y, p, options = CALLS[name]
    p = array(p, "bfloat16")
    y = y if y.dtype.kind == "i" else array(y, "bfloat16")
    function = getattr(metrics, name)
    arrays = harness.array(y), harness.array(p)
    exact = function(y.astype(float), p.astype(float), **options)
    assert function(*arrays, **options) == pytest.approx(exact, rel=1e-6)
    value, gradient = xentropy.value_and_grad(function, 1)(*arrays, **options)
    assert harness.numpy(value).dtype == harness.numpy(gradient).dtype == p.dtype


def test_columns_are_in_sorted_order(harness: Harness) -> None:
    p = harness.array(ROWS)
    with pytest.warns(UserWarning, match="sorted order"):
        value = metrics.log_loss(["b", "a"], p, labels=["b", "a", "c"])
    assert value == metrics.log_loss(["b", "a"], p, labels=["a", "b", "c"])


@pytest.mark.parametrize("name", ["log_loss", "brier_score_loss"])
def test_rows_that_do_not_sum_to_one(harness: Harness, name: str) -> None:
    p = harness.array(ROWS * np.float32(0.5))
    with pytest.warns(UserWarning, match="do not sum to 1"):
        value = getattr(metrics, name)([0, 1], p, labels=[0, 1, 2])
    assert value == pytest.approx({"log_loss": np.log(4.0), "brier_score_loss": 0.59375}[name])


def test_the_former_name(harness: Harness) -> None:
    with pytest.warns(FutureWarning, match="y_proba"):
        value = metrics.log_loss(Y, y_pred=harness.array(P))
    assert value == metrics.log_loss(Y, harness.array(P))


def test_warnings_point_at_the_caller() -> None:
    calls: list[tuple[Any, dict[str, Any]]] = [
        (Y, {"y_pred": P}),
        ([0, 1], {"y_proba": ROWS / 2, "labels": [0, 1, 2]}),
        ([0, 1], {"y_proba": ROWS, "labels": [1, 0, 2]}),
    ]
    for y, options in calls:
        with pytest.warns(Warning) as found:  # noqa: PT030
            metrics.log_loss(y, **options)
        assert found[0].filename == __file__


def test_labels_that_are_traced(harness: Harness, mode: str) -> None:
    if mode == "eager":
        pytest.skip("nothing is traced")
    p = harness.array(ROWS)
    run = harness.quick(mode)(lambda y: metrics.log_loss(y, p, labels=[3, 5, 7]))
    value = harness.numpy(run(harness.array(np.asarray([3, 7]))))
    np.testing.assert_allclose(value, metrics.log_loss([3, 7], ROWS, labels=[3, 5, 7]), rtol=1e-6)
    assert np.isnan(harness.numpy(run(harness.array(np.asarray([3, 4])))))


def test_labels_that_are_traced_are_not_guessed(harness: Harness, mode: str) -> None:
    if mode == "eager":
        pytest.skip("nothing is traced")
    p = harness.array(P)
    for name, option in {"log_loss": "labels", "brier_score_loss": "pos_label"}.items():
        run = harness.quick(mode)(lambda y, name=name: getattr(metrics, name)(y, p))
        with pytest.raises(Exception, match=f"`{option}` must be given|Dynamo"):
            run(harness.array(Y))


@pytest.mark.parametrize("name", CALLS)
def test_on_an_accelerator_nothing_is_read_but_the_result(harness: Harness, name: str) -> None:
    context = harness.accelerator()
    if context is None:
        pytest.skip("no arrays of it are waited for")
    y, p, options = CALLS[name]
    function = getattr(metrics, name)
    arrays = harness.array(y), harness.array(p)
    value = function(*arrays, **options)
    with context:
        assert function(*arrays, **options) == value
        assert function(*arrays) == pytest.approx(function(y, p), rel=1e-6)
        function(arrays[0], harness.array(p + np.float32(1.0)), **options)
