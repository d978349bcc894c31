"""What `value_and_grad` differentiates by: names, positions, partials, weak arguments."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close, assert_same
from tests.gradient_calls import LABELS, LOGITS, TARGETS, WEIGHTS, given, loss, vag
from xentropy.testing import Harness


@pytest.mark.parametrize("argnums", [0, "labels", (0,), (1, "logits"), ("labels", "sample_weight")])
def test_argnums(harness: Harness, argnums: Any) -> None:
    x, t = given(harness)
    weight = harness.array(WEIGHTS)
    _, got = vag(loss, argnums)(x, t, sample_weight=weight, reduction="mean")
    names = ["logits", "labels", "sample_weight"]
    all_of_them = vag(loss, tuple(names))(x, t, sample_weight=weight, reduction="mean")[1]
    by_name = dict(zip(names, all_of_them, strict=True))
    wanted = argnums if isinstance(argnums, tuple) else (argnums,)
    assert isinstance(got, tuple) == isinstance(argnums, tuple)
    got = got if isinstance(argnums, tuple) else (got,)
    for grad, target in zip(got, wanted, strict=True):
        assert_close(harness, grad, by_name[target if isinstance(target, str) else names[target]])


def test_an_argument_that_is_named_twice(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss)(x, t, reduction="mean")
    position: Any = np.int64(0)
    _, (first, second) = vag(loss, (position, "logits"))(x, t, reduction="mean")
    assert_same(harness, first, want)
    assert_same(harness, second, want)


def test_arguments_by_name_and_the_function_again(harness: Harness) -> None:
    x, t = given(harness)
    function = vag(loss, "logits")
    _, want = function(x, t, reduction="sum")
    for _ in range(2):
        assert_same(harness, function(labels=t, logits=x, reduction="sum")[1], want)


def test_partials(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss)(x, t, reduction="mean", label_smoothing=0.25)
    smooth = functools.partial(functools.partial(loss, reduction="mean"), label_smoothing=0.25)
    assert_same(harness, vag(smooth)(x, t)[1], want)
    # What a partial holds by position is no argument any more, what it holds by name still is.
    _, of_labels = vag(loss, 1)(x, t, reduction="mean")
    assert_same(harness, vag(functools.partial(loss, x, reduction="mean"))(t)[1], of_labels)
    held = functools.partial(loss, sample_weight=harness.array(WEIGHTS), reduction="mean")
    _, of_weight = vag(loss, "sample_weight")(
        x, t, sample_weight=harness.array(WEIGHTS), reduction="mean"
    )
    assert_same(harness, vag(held, "sample_weight")(x, t)[1], of_weight)


def test_what_a_partial_holds_decides_on_the_family(harness: Harness) -> None:
    x, t = given(harness)
    _, want = vag(loss, "labels")(x, t, reduction="mean")
    held = functools.partial(functools.partial(loss, x), reduction="mean")
    assert_same(harness, vag(held)(TARGETS)[1], want)


def test_weak_arguments(harness: Harness) -> None:
    x = harness.array(LOGITS)
    _, want = vag(loss)(x, harness.array(TARGETS), reduction="mean")
    for labels in (TARGETS, TARGETS.tolist()):
        assert_same(harness, vag(loss)(x, labels, reduction="mean")[1], want)
    for labels in (TARGETS, TARGETS.tolist()):
        _, grad = vag(loss, "labels")(x, labels, reduction="mean")
        assert harness.owns(grad)
        assert harness.numpy(grad).shape == TARGETS.shape
    for predictions in (LOGITS.tolist(), tuple(LOGITS.tolist())):
        value, grad = vag(loss)(predictions, harness.array(TARGETS), reduction="mean")
        default = xentropy.backend_of(x).default_float()
        assert harness.owns(value)
        assert harness.owns(grad)
        assert harness.numpy(grad).dtype == default


def test_where_all_are_weak_it_is_numpy_s() -> None:
    value, grad = vag(xentropy.squared_error)(3.0, 1.0)
    assert (value, grad) == (4.0, 4.0)
    value, grad = vag(xentropy.squared_error)([3.0], [1.0])
    assert type(grad) is np.ndarray
    assert grad.dtype == np.float64


@pytest.mark.parametrize("layout", ["big-endian", "reversed", "Fortran"])
def test_layouts_of_weak_arrays(harness: Harness, layout: str) -> None:
    arrays = {
        "big-endian": TARGETS.astype(">f4"),
        "reversed": TARGETS[::-1].copy()[::-1],
        "Fortran": np.asfortranarray(TARGETS),
    }
    x, t = given(harness)
    _, want = vag(loss, "labels")(x, t, reduction="mean")
    _, got = vag(loss, "labels")(x, arrays[layout], reduction="mean")
    np.testing.assert_array_equal(harness.numpy(got), harness.numpy(want))


def test_numpy_predictions_are_not_converted(harness: Harness) -> None:
    _, t = given(harness)
    if harness.owns(LOGITS):
        pytest.skip("one family: NumPy's are its own")
    with pytest.raises(xentropy.MixedBackendError, match="`labels` must be of the family"):
        vag(loss)(LOGITS, t)
    with pytest.raises(xentropy.MixedBackendError, match="`labels` must be of the family"):
        vag(loss, "labels")(LOGITS, t)


NUMBERS: list[tuple[str, str, dict[str, Any]]] = [
    ("sigmoid_cross_entropy", "labels", {"labels": 1}),
    ("sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": 2.0}),
    ("sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": [1, 2, 3]}),
    ("weighted_sigmoid_cross_entropy", "pos_weight", {"labels": TARGETS, "pos_weight": 2}),
    ("sigmoid_focal_cross_entropy", "alpha", {"labels": TARGETS, "alpha": 0.25}),
    ("softmax_focal_cross_entropy", "alpha", {"labels": LABELS, "alpha": (1.0, 2.0, 3.0)}),
    ("cross_entropy", "class_weight", {"labels": LABELS, "class_weight": [1, 2, 4]}),
    ("cross_entropy", "sample_weight", {"labels": LABELS, "sample_weight": 2}),
    (
        "cross_entropy",
        "denominator",
        {"labels": LABELS, "denominator": 4, "reduction": "mean"},
    ),
]


@pytest.mark.parametrize(("name", "target", "options"), NUMBERS)
def test_numbers_and_lists_for_weights_are_differentiated(
    harness: Harness, name: str, target: str, options: dict[str, Any]
) -> None:
    x = harness.array(LOGITS)
    function = vag(getattr(xentropy, name), target)
    value, grad = function(x, **options)
    default = np.dtype(xentropy.backend_of(x).default_float())
    as_array = harness.array(np.array(options[target], default))
    want_value, want = function(x, **{**options, target: as_array})
    assert_same(harness, value, want_value)
    assert_same(harness, grad, want)
    assert np.any(harness.numpy(grad) != 0)
