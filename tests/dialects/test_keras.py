"""What the classes of the dialect keras do beside their values: masks, dtypes, names, messages."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.dialects.case import LIVE, Case
from tests.dialects.test_grid import need_dtypes
from xentropy.dialects import keras
from xentropy.testing import Harness

LABELS = np.array([0, 1, 2, 1])
PROBS = np.array(
    [[0.7, 0.2, 0.1], [np.nan, 0.5, 0.5], [0.3, 0.3, 0.4], [0.1, 0.8, 0.1]], np.float32
)
KEPT = np.array([True, False, True, True])
COSTS = -np.log([0.7, 0.0, 0.4, 0.8], where=KEPT, out=np.zeros(4))


class Masked(np.ndarray[Any, Any]):
    """An array that carries a mask of Keras, as a tensor of its layers does."""

    _keras_mask: Any = None

    def __array_finalize__(self, of: Any) -> None:
        self._keras_mask = getattr(of, "_keras_mask", None)


def masked(x: np.ndarray[Any, Any], mask: Any) -> Masked:
    found = x.view(Masked)
    found._keras_mask = mask
    return found


@pytest.mark.parametrize(
    ("reduction", "weights", "expected"),
    [
        ("none", None, COSTS),
        ("sum", None, COSTS.sum()),
        ("mean", None, COSTS.sum() / 3),
        ("mean", [1.0, 1.0, 2.0, 0.0], (COSTS * [1, 1, 2, 0]).sum() / 3),
        ("mean_with_sample_weight", None, COSTS.sum() / 3),
        ("mean_with_sample_weight", [1.0, 9.0, 2.0, 0.0], (COSTS * [1, 9, 2, 0]).sum() / 3),
    ],
)
def test_a_mask_leaves_out_whatever_stands_there(
    reduction: str, weights: Any, expected: Any
) -> None:
    loss = keras.SparseCategoricalCrossentropy(reduction=reduction)
    found = loss(LABELS, masked(PROBS, KEPT), weights)
    np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


def test_a_mask_stops_the_gradient() -> None:
    loss = keras.SparseCategoricalCrossentropy()
    _, gradient = xentropy.value_and_grad(loss, 1)(LABELS, masked(PROBS, KEPT))
    np.testing.assert_allclose(gradient[0], [-0.3 / 2.1, 1 / 3, 1 / 3], rtol=1e-5)
    assert (np.asarray(gradient[1]) == 0).all()


def test_a_mask_joins_the_class_that_is_ignored() -> None:
    loss = keras.SparseCategoricalCrossentropy(ignore_class=2)
    found = loss(LABELS, masked(PROBS, KEPT))
    np.testing.assert_allclose(found, COSTS[[0, 3]].mean(), rtol=1e-6)


def test_a_mask_of_regression() -> None:
    predictions = masked(np.array([[1.0, 3.0], [np.inf, 0.0]]), np.array([True, False]))
    assert keras.MeanSquaredError()(np.zeros((2, 2)), predictions) == 5.0


def test_labels_have_gradients_too() -> None:
    t, x = np.array([[0.6, 0.4], [0.3, 0.7]]), np.array([[0.7, 0.3], [np.nan, np.nan]])
    loss = keras.BinaryCrossentropy(reduction="sum", dtype="float64")
    _, gradient = xentropy.value_and_grad(loss, 0)(t, masked(x, np.array([True, False])))
    expected = np.log([0.3 / 0.7, 0.7 / 0.3]) / 2
    np.testing.assert_allclose(gradient, [expected, np.zeros(2)])
    options: Any = {"from_logits": True, "label_smoothing": 0.2, "gamma": 0.0, "alpha": 1.0}
    focal = xentropy.value_and_grad(keras.categorical_focal_crossentropy, 0)
    _, gradient = focal(t[:1], np.zeros((1, 2)), **options)
    np.testing.assert_allclose(gradient, [[0.8 * np.log(2)] * 2])


@pytest.mark.parametrize("label", ["0.5", "-0.25", "nan", "inf"])
def test_labels_that_are_no_whole_numbers(harness: Harness, label: str) -> None:
    """They are named as they came; those that are whole are indices."""
    probs = harness.array(PROBS[2:])
    given = [harness.array(np.array([1, float(x)], np.float32)) for x in (2, label)]
    found = keras.sparse_categorical_crossentropy(given[0], probs)
    np.testing.assert_allclose(harness.numpy(found), -np.log(PROBS[[2, 3], [1, 2]]), rtol=1e-6)
    with pytest.raises(xentropy.LabelError, match=rf"`y_true` .* labels\[1\] is {label}\."):
        keras.sparse_categorical_crossentropy(given[1], probs)


def test_a_tensor_carries_its_mask(harness: Harness) -> None:
    predictions = harness.array(PROBS)
    try:
        predictions._keras_mask = harness.array(KEPT)
    except AttributeError:
        pytest.skip("arrays carry no attributes")
    found = keras.SparseCategoricalCrossentropy()(harness.array(LABELS), predictions)
    np.testing.assert_allclose(harness.numpy(found), COSTS.sum() / 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_class_computes_in_its_dtype(harness: Harness, dtype: str) -> None:
    need_dtypes(harness, Case(dtype, "MeanSquaredError", (), {"dtype": dtype}, call={}))
    x, t = (harness.array(np.full((2, 3), k, np.float32)) for k in (1.5, 0.0))
    grad = xentropy.value_and_grad(keras.MeanSquaredError(dtype=dtype), 1)
    value, gradient = grad(t, x)
    assert xentropy.backend_of(value).dtype_name(value) == dtype
    assert xentropy.backend_of(gradient).dtype_name(gradient) == "float32"
    np.testing.assert_array_equal(harness.numpy(value).astype(np.float64), 2.25)
    np.testing.assert_allclose(harness.numpy(gradient), 0.5, rtol=1e-2)


class Policy:
    compute_dtype = "float16"


@pytest.mark.parametrize("dtype", [Policy(), "mixed_float16", np.float16, np.dtype("float16")])
def test_dtypes_have_many_names(dtype: Any) -> None:
    assert keras.Huber(dtype=dtype).dtype == "float16"


def test_lists_are_float32() -> None:
    found: Any = keras.mean_squared_error([[0.0, 1.0], [0.0, 0.0]], [[1, 1], [1, 0]])
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, [0.5, 0.5])


def test_the_documented_examples() -> None:
    y_true, y_pred = [[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]
    probs = [[0.05, 0.95, 0], [0.1, 0.8, 0.1]]
    loss = keras.SparseCategoricalCrossentropy()
    for found, expected in (
        (keras.binary_crossentropy(y_true, y_pred), [0.916, 0.714]),
        (keras.binary_focal_crossentropy(y_true, y_pred, gamma=2), [0.330, 0.206]),
        (keras.huber(y_true, y_pred), [0.18, 0.13]),
        (keras.sparse_categorical_crossentropy([1, 2], probs), [0.0513, 2.303]),
        (loss([1, 2], probs), 1.177),
        (loss([1, 2], probs, sample_weight=[0.3, 0.7]), 0.814),
    ):
        np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_a_loss_says_what_it_is() -> None:
    loss = keras.Huber(delta=2.0, reduction="sum")
    assert repr(loss) == "Huber(delta=2.0, reduction='sum', dtype='float32')"
    assert (loss.name, loss.delta) == ("huber_loss", 2.0)
    with pytest.raises(AttributeError, match="'Huber' object has no attribute 'axis'"):
        _ = loss.axis


def test_errors_name_the_arguments_of_keras() -> None:
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(xentropy.LabelError, match=r"`y_true` must lie in \[0, 3\)"):
        keras.sparse_categorical_crossentropy(np.array([0, 3]), x)
    with pytest.raises(xentropy.ShapeError, match="`y_true` must have the shape of `y_pred`"):
        keras.binary_crossentropy(x[0], x)
    with pytest.raises(ValueError, match="`sample_weight` must broadcast with the losses"):
        keras.MeanSquaredError()(x, x, np.ones(3))
    with pytest.raises(TypeError, match=r"^xentropy.dialects.keras.huber: `y_true` must be given"):
        keras.huber(None, x)
    with pytest.raises(TypeError, match="`y_pred` must be real floating"):
        keras.mean_squared_error(x, x.astype(int))


def test_one_class_is_warned_of() -> None:
    x = np.ones((2, 1), np.float32)
    with pytest.warns(SyntaxWarning, match="one class"):
        keras.categorical_crossentropy(x, x)


def test_a_loss_is_made_again_of_its_config() -> None:
    loss = keras.Huber(delta=2.0, reduction="sum", dtype="float64")
    config = loss.get_config()
    assert config == {"name": "huber_loss", "reduction": "sum", "delta": 2.0, "dtype": "float64"}
    assert repr(keras.Huber.from_config(config)) == repr(loss)
    for name in (n for n in keras.__all__ if n[0].isupper()):
        made = getattr(keras, name)()
        assert type(made).from_config(made.get_config()).get_config() == made.get_config()
    assert keras.SparseCategoricalCrossentropy(axis=1).get_config()["axis"] == 1
    assert keras.MeanSquaredError(name=None).name == "mean_squared_error"


def test_a_config_is_that_of_keras(harness: Harness) -> None:
    if harness.name != "tensorflow":
        pytest.skip("keras runs where tensorflow does")
    from tests.dialects.keras_cases import ORIGINALS

    for name in (n for n in keras.__all__ if n[0].isupper()):
        config = ORIGINALS()[name]().get_config()
        made = getattr(keras, name).from_config(config)
        assert config.items() <= made.get_config().items()


def test_a_call_without_a_reduction() -> None:
    loss = keras.MeanSquaredError(reduction="sum")
    np.testing.assert_array_equal(loss.call(np.zeros((2, 2)), np.eye(2)), [0.5, 0.5])


def test_an_overridden_call_is_what_is_reduced() -> None:
    class Tenfold(keras.Huber):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return 10 * super().call(y_true, y_pred)

    one, zero = np.ones((2, 2)), np.zeros((2, 2))
    assert Tenfold()(one, zero) == 10 * keras.Huber()(one, zero)


def test_losses_are_copied_and_sent() -> None:
    loss = keras.Huber(delta=2.0, reduction="sum")
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(other) == repr(loss)
        assert type(other) is keras.Huber
    assert not isinstance(loss, keras.LogCosh)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_a_model_is_trained_as_with_the_original(harness: Harness, reduction: str) -> None:
    """With sample and class weights, which Keras hands to its own losses, and masks."""
    if LIVE["keras"] != harness.name:
        pytest.skip(f"keras runs where {LIVE['keras']} does")
    theirs = importlib.import_module("keras")
    r = np.random.default_rng(1)
    x = r.normal(size=(16, 4, 5)).astype(np.float32)
    x[:, 2:] *= r.random((16, 1, 1)) < 0.5
    y, w = r.integers(0, 3, (16, 4)), r.uniform(0, 4, (16, 4))
    found = []
    for losses in (theirs.losses, keras):
        theirs.utils.set_random_seed(1)
        layers = theirs.layers
        model = theirs.Sequential([layers.Input((4, 5)), layers.Masking(), layers.Dense(3)])
        loss = losses.SparseCategoricalCrossentropy(from_logits=True, reduction=reduction)
        model.compile("sgd", loss)
        fitted = model.fit(x, y, sample_weight=w, epochs=2, shuffle=False, verbose=0)
        weighted = model.evaluate(x, y, sample_weight=w, verbose=0)
        plain = model.evaluate(x, y, verbose=0)
        found.append([*fitted.history["loss"], weighted, plain])
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
