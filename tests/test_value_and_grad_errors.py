"""What `value_and_grad` says of arguments that cannot be differentiated."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.gradient_calls import LABELS, LOGITS, TARGETS, given, loss, message, vag
from xentropy.dispatch import describe
from xentropy.testing import Harness


@pytest.mark.parametrize(
    "target", [4, 20, -1, "logit", "where", None, 1.0, True, [0, 1], (0, "nothing")]
)
def test_argnums_that_name_nothing(harness: Harness, target: Any) -> None:
    x, t = given(harness)
    text = message(lambda: vag(loss, target)(x, t), xentropy.OptionError)
    shown = target[1] if isinstance(target, tuple) else target
    assert text == (
        "xentropy.value_and_grad: `argnums` must be the position or name of an argument of the "
        "call, or a tuple of these.\n"
        f"  argnums: {describe(shown)}\n"
        "Hint: the floating arrays of the call are logits, labels."
    )


def test_no_argnums() -> None:
    assert message(lambda: vag(loss, ()), xentropy.OptionError) == (
        "xentropy.value_and_grad: `argnums` must name an argument at least.\n"
        "  argnums: tuple of length 0\n"
        "Hint: 0 stands for the predictions."
    )


NOT_FLOATING: list[tuple[str, dict[str, Any]]] = [
    ("labels", {"labels": np.array(LABELS)}),
    ("sample_weight", {"labels": LABELS, "sample_weight": np.array([1, 2])}),
    ("sample_weight", {"labels": LABELS, "sample_weight": True}),
    ("where", {"labels": LABELS, "where": np.array([True, False])}),
    ("where", {"labels": LABELS, "where": [True, False]}),
    ("class_mask", {"labels": LABELS, "class_mask": (True, True, True)}),
    ("reduction", {"labels": LABELS}),
]


@pytest.mark.parametrize("own", [True, False], ids=["own", "weak"])
@pytest.mark.parametrize(("name", "options"), NOT_FLOATING)
def test_only_floats_are_differentiated(
    harness: Harness, name: str, options: dict[str, Any], own: bool
) -> None:
    x = harness.array(LOGITS)
    if own:
        options = {
            k: harness.array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()
        }
    function = vag(xentropy.cross_entropy, (0, name))
    shown = describe(options.get(name, "none"))
    assert message(lambda: function(x, **options), xentropy.DTypeError) == (
        f"xentropy.value_and_grad: `{name}` must be floating to be differentiated.\n"
        f"  {name}: {shown}\n"
        "Hint: the floating arrays of the call are logits."
    )


TAKEN_AS_THEY_COME: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("cross_entropy", "labels", LABELS, {}),
    ("sparse_softmax_cross_entropy", "labels", LABELS, {}),
    ("cross_entropy", "axis", LABELS, {"axis": -1}),
    ("cross_entropy", "axis", LABELS, {}),
    ("cross_entropy", "ignore_index", LABELS, {"ignore_index": -100}),
    ("cross_entropy", "label_smoothing", LABELS, {"label_smoothing": 0.125}),
    ("cross_entropy", "label_smoothing", LABELS, {}),
    ("cross_entropy", "z_loss", LABELS, {"z_loss": 0.5}),
    ("poly_cross_entropy", "epsilon", LABELS, {}),
    ("softmax_focal_cross_entropy", "gamma", LABELS, {"gamma": 2}),
    ("kl_divergence", "temperature", [[1, 0, 0]], {}),
    ("huber", "delta", 0, {}),
    ("smooth_l1", "beta", 0, {}),
]


@pytest.mark.parametrize("case", TAKEN_AS_THEY_COME, ids=lambda case: f"{case[0]} {case[1]}")
def test_options_and_lists_of_indices_are_not_differentiated(
    harness: Harness, case: tuple[str, str, Any, dict[str, Any]]
) -> None:
    name, target, labels, options = case
    function = getattr(xentropy, name)
    first = next(iter(inspect.signature(function).parameters))
    bound = inspect.signature(function).bind(harness.array(LOGITS), labels, **options)
    bound.apply_defaults()
    text = message(
        lambda: vag(function, (0, target))(*bound.args, **bound.kwargs), xentropy.DTypeError
    )
    assert text == (
        f"xentropy.value_and_grad: `{target}` cannot be differentiated: the loss takes no floating "
        f"array for it.\n  {target}: {describe(bound.arguments[target])}\n"
        f"Hint: the floating arrays of the call are {first}."
    )


def test_keepdims_is_no_number(harness: Harness) -> None:
    with pytest.raises(xentropy.DTypeError, match="`keepdims` must be floating"):
        vag(xentropy.logsumexp, "keepdims")(harness.array(LOGITS))


def test_what_is_wrong_anyway_is_said_by_the_loss(harness: Harness) -> None:
    x, t = given(harness)
    ragged = [[1.0], [2.0, 3.0]]
    for labels, error, rule in [
        (ragged, xentropy.ShapeError, "`labels` must be a regular array"),
        (["a", "b"], xentropy.DTypeError, "`labels` must hold real numbers"),
        ([None, 2], xentropy.DTypeError, "`labels` must hold real numbers"),
        (1j, xentropy.DTypeError, "`labels` must be real"),
        (np.ma.masked_array(TARGETS), xentropy.DTypeError, "`labels` is a masked array"),
    ]:
        with pytest.raises(error, match=f"softmax_cross_entropy: {rule}"):
            vag(loss, "labels")(x, labels)
    with pytest.raises(xentropy.DTypeError, match="`logits` is a masked array"):
        vag(loss)(np.ma.masked_array(LOGITS), t)
    with pytest.raises(xentropy.OptionError, match="`reduction` must be one of"):
        vag(loss, ("labels", "label_smoothing"))(x, TARGETS.tolist(), reduction="all")
    with pytest.raises(xentropy.OptionError, match=r"in \[0, 1\]\.\n  label_smoothing: 3\.0"):
        vag(loss, "label_smoothing")(x, t, label_smoothing=3.0)


def test_errors_of_the_loss_come_through(harness: Harness) -> None:
    x = harness.array(LOGITS)
    with pytest.raises(xentropy.LabelError, match=r"labels\[1\] is 3"):
        vag(xentropy.cross_entropy)(x, [0, 3])
    with pytest.raises(TypeError, match="labels"):
        vag(xentropy.cross_entropy)(x)
