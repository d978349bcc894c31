"""`strict`: checks of values that cost a pass, only where they were asked for."""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from xentropy.dispatch import describe
from xentropy.testing import Harness

InputError, LabelError = xentropy.InputError, xentropy.LabelError
NAN = float("nan")
ROWS = np.array([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]], np.float32)
LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]], np.float32)


def changed(array: np.ndarray[Any, Any], at: Any, value: float) -> np.ndarray[Any, Any]:
    array = array.copy()
    array[at] = value
    return array


class Case:
    """A call that `strict` refuses, and what it says."""

    def __init__(
        self, loss: str, first: Any, labels: Any, error: type[Exception], text: str, **options: Any
    ) -> None:
        self.loss, self.first, self.labels = loss, first, labels
        self.error, self.text, self.options = error, text, options

    def __repr__(self) -> str:
        return f"{self.loss} {self.text.partition(' must ')[2][:24]}"

    def call(self, harness: Harness) -> Any:
        labels = self.labels
        labels = harness.array(labels) if isinstance(labels, np.ndarray) else labels
        return getattr(xentropy, self.loss)(harness.array(self.first), labels, **self.options)


CASES = [
    Case(
        "sparse_softmax_cross_entropy",
        changed(LOGITS, (1, 2), NAN),
        np.array([0, 1]),
        InputError,
        "`logits` must not be NaN; logits[1, 2] is.",
    ),
    Case(
        "squared_error",
        np.array([0.0, NAN, NAN], np.float32),
        0.0,
        InputError,
        "`predictions` must not be NaN; predictions[1] is, the first of 2.",
    ),
    Case(
        "squared_error",
        np.zeros(3, np.float32),
        np.array([0.0, NAN, 1.0], np.float32),
        LabelError,
        "`targets` must not be NaN; targets[1] is.",
    ),
    Case(
        "sigmoid_cross_entropy",
        LOGITS,
        changed(ROWS, (0, 1), NAN),
        LabelError,
        "`labels` must not be NaN; labels[0, 1] is.",
    ),
    Case(
        "binary_cross_entropy",
        changed(ROWS, (1, 0), 1.5),
        1.0,
        InputError,
        "`probs` must lie in [0, 1]; probs[1, 0] does not.",
    ),
    Case(
        "sparse_categorical_cross_entropy",
        changed(ROWS, (0, 0), -0.5),
        np.array([0, 1]),
        InputError,
        "`probs` must lie in [0, 1]; probs[0, 0] does not.",
    ),
    Case(
        "sigmoid_focal_cross_entropy",
        LOGITS,
        changed(ROWS, (1, 1), 2.0),
        LabelError,
        "`labels` must lie in [0, 1]; labels[1, 1] does not.",
    ),
    Case(
        "softmax_cross_entropy",
        LOGITS,
        changed(ROWS, (1, 1), -0.125),
        LabelError,
        "`labels` must lie in [0, 1]; labels[1, 1] does not.",
    ),
    Case(
        "softmax_cross_entropy",
        LOGITS,
        changed(ROWS, (1, 1), 0.5),
        LabelError,
        "`labels` must sum to 1 along axis -1; labels[1] does not.",
    ),
    Case(
        "categorical_cross_entropy",
        np.stack([ROWS.T, ROWS.T]),
        changed(np.stack([ROWS.T, ROWS.T]), (1, 2, 0), 0.0),
        LabelError,
        "`labels` must sum to 1 along axis -2; labels[1, 0] does not.",
        axis=1,
    ),
    Case(
        "kl_divergence",
        LOGITS,
        np.array([[0.5, 0.25, 0.5]], np.float32),
        LabelError,
        "`labels` must sum to 1 along axis -1; labels[0] does not.",
    ),
    *(
        Case(
            loss,
            ROWS,
            labels,
            InputError,
            "`logits` must be logits, but every row lies in [0, 1] and sums to 1.",
        )
        for loss, labels in [
            ("cross_entropy", np.array([0, 1])),
            ("softmax_cross_entropy", ROWS),
            ("sparse_softmax_cross_entropy", np.array([0, 1])),
            ("softmax_focal_cross_entropy", np.array([0, 1])),
            ("poly_cross_entropy", np.array([0, 1])),
            ("kl_divergence", ROWS),
        ]
    ),
]
TWICE = "softmax applied twice? Pass what came before it, or use a loss of probabilities."


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_values_are_checked_inside_and_not_outside(harness: Harness, case: Case) -> None:
    case.call(harness)
    with xentropy.strict(), pytest.raises(case.error) as caught:
        case.call(harness)
    case.call(harness)
    argument = case.text.partition("`")[2].partition("`")[0]
    given = case.labels if argument in ("labels", "targets") else case.first
    hint = f"\nHint: {TWICE}" if "sums to 1" in case.text else ""
    assert str(caught.value) == (
        f"xentropy.{case.loss}: {case.text}\n  {argument}: {describe(harness.array(given))}{hint}"
    )


FINE: list[tuple[str, Any, Any, dict[str, Any]]] = [
    ("sparse_softmax_cross_entropy", LOGITS, np.array([0, 1]), {}),
    ("softmax_cross_entropy", LOGITS, ROWS, {}),
    ("softmax_cross_entropy", LOGITS, np.array([[1, 0, 0], [0, 1, 0]]), {}),
    ("softmax_cross_entropy", LOGITS, np.array([[True, False, False]]), {}),
    ("softmax_cross_entropy", np.full((2, 3), -np.inf, np.float32), ROWS, {}),
    ("cross_entropy", np.zeros((2, 1), np.float32) + 1, np.array([0, 0]), {}),
    ("cross_entropy", np.zeros((0, 3), np.float32), np.zeros(0, np.int64), {}),
    ("cross_entropy", changed(ROWS, 0, 2.0), np.array([0, 1]), {}),
    ("categorical_cross_entropy", ROWS, ROWS, {}),
    ("categorical_cross_entropy", 0.5 * ROWS, ROWS, {}),
    ("sigmoid_cross_entropy", ROWS, ROWS, {}),
    ("binary_cross_entropy", ROWS, 0.5, {}),
    ("squared_error", ROWS, 7.0, {}),
    ("log_cosh", np.array(0.0, np.float32), 1.0, {}),
    # A distribution of 16 bits, rounded as they are.
    ("softmax_cross_entropy", np.zeros((1, 3), np.float32), np.full((1, 3), 1 / 3, np.float32), {}),
]


@pytest.mark.parametrize(("loss", "first", "labels", "options"), FINE)
def test_what_is_right_passes(
    harness: Harness, loss: str, first: Any, labels: Any, options: dict[str, Any]
) -> None:
    labels = harness.array(labels) if isinstance(labels, np.ndarray) else labels
    function = getattr(xentropy, loss)
    want = function(harness.array(first), labels, **options)
    with xentropy.strict():
        got = function(harness.array(first), labels, **options)
    # Not bit for bit: a plain call goes a shorter way outside.
    assert_close(harness, got, want)


def test_predictions_of_the_normalizers_are_checked_for_nan_alone(harness: Harness) -> None:
    with xentropy.strict():
        xentropy.log_softmax(harness.array(ROWS))
        xentropy.logsumexp(harness.array(ROWS))
        with pytest.raises(InputError, match=r"`x` must not be NaN; x\[1\]"):
            xentropy.logsumexp(harness.array(np.array([0.0, NAN], np.float32)))


LEFT_OUT: list[dict[str, Any]] = [
    {"where": [False, True]},
    {"sample_weight": [0.0, 1.0]},
    {"where": [False, True], "sample_weight": [1.0, 1.0]},
    {"where": [True, True], "sample_weight": [0.0, 2.0]},
]


@pytest.mark.parametrize("left_out", LEFT_OUT, ids=str)
def test_examples_that_are_left_out_are_not_looked_at(
    harness: Harness, left_out: dict[str, Any]
) -> None:
    bad_logits = harness.array(changed(LOGITS, 0, NAN))
    bad_rows = harness.array(changed(ROWS, 0, NAN))
    far_rows = harness.array(changed(ROWS, (0, 0), 7.0))
    with xentropy.strict():
        xentropy.cross_entropy(bad_logits, harness.array(np.array([99, 1])), **left_out)
        xentropy.softmax_cross_entropy(bad_logits, bad_rows, **left_out)
        xentropy.softmax_cross_entropy(harness.array(LOGITS), far_rows, **left_out)
        xentropy.categorical_cross_entropy(far_rows, far_rows, **left_out)
        xentropy.squared_error(bad_logits[:, 0], bad_rows[:, 0], **left_out)
        # The rest is.
        both = harness.array(changed(changed(LOGITS, 0, NAN), (1, 0), NAN))
        with pytest.raises(InputError, match=r"logits\[1, 0\] is\."):
            xentropy.cross_entropy(both, [0, 1], **left_out)
        with pytest.raises(InputError, match="every row"):
            xentropy.cross_entropy(harness.array(changed(ROWS, 0, 5.0)), [0, 1], **left_out)


def weight(loss: str, labels: Any, name: str, value: Any, place: str, **options: Any) -> Case:
    """A weight that holds NaN."""
    text = f"`{name}` must not be NaN; {place} is."
    return Case(loss, LOGITS, labels, InputError, text, **{name: value}, **options)


WEIGHTS = [
    weight("cross_entropy", np.array([0, 1]), "class_weight", [1.0, NAN, 2.0], "class_weight[1]"),
    weight("softmax_cross_entropy", ROWS, "class_weight", NAN, "class_weight"),
    weight("categorical_cross_entropy", ROWS, "class_weight", [NAN, 1.0, 2.0], "class_weight[0]"),
    weight("sigmoid_cross_entropy", ROWS, "pos_weight", [1.0, NAN, 2.0], "pos_weight[1]"),
    weight("weighted_sigmoid_cross_entropy", ROWS, "pos_weight", NAN, "pos_weight"),
    weight("sigmoid_focal_cross_entropy", ROWS, "alpha", NAN, "alpha"),
    weight("softmax_focal_cross_entropy", np.array([0, 1]), "alpha", [1.0, 2.0, NAN], "alpha[2]"),
    weight("cross_entropy", np.array([0, 1]), "sample_weight", [1.0, NAN], "sample_weight[1]"),
    weight("squared_error", 0.0, "sample_weight", [[1.0], [NAN]], "sample_weight[1, 0]"),
    weight("squared_error", 0.0, "sample_weight", NAN, "sample_weight"),
    weight("squared_error", 0.0, "denominator", NAN, "denominator", reduction="mean"),
]


@pytest.mark.parametrize("own", [True, False], ids=["own", "weak"])
@pytest.mark.parametrize("case", WEIGHTS, ids=lambda case: f"{case.loss} {case.text.split('`')[1]}")
def test_nan_in_weights_is_named(harness: Harness, case: Case, own: bool) -> None:
    argument = case.text.split("`")[1]
    given = case.options[argument]
    given = harness.array(np.array(given, np.float32)) if own else given
    labels = harness.array(case.labels) if isinstance(case.labels, np.ndarray) else case.labels
    call = functools.partial(getattr(xentropy, case.loss), harness.array(case.first), labels)
    options = {**case.options, argument: given}
    call(**options)
    with xentropy.strict(), pytest.raises(InputError) as caught:
        call(**options)
    assert str(caught.value) == (
        f"xentropy.{case.loss}: {case.text}\n  {argument}: {describe(given)}"
    )


def test_weights_of_examples_that_are_left_out_are_not_looked_at(harness: Harness) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array([1, 0]))
    for bad in ([NAN, 1.0], harness.array(np.array([NAN, 1.0], np.float32))):
        with xentropy.strict():
            xentropy.cross_entropy(x, labels, sample_weight=bad, where=[False, True])
            xentropy.cross_entropy(x, labels, sample_weight=bad, ignore_index=1)
            xentropy.squared_error(x[:, 0], 0.0, sample_weight=bad, where=[False, True])
            with pytest.raises(InputError, match=r"`sample_weight` .*; sample_weight\[0\] is\."):
                xentropy.cross_entropy(x, labels, sample_weight=bad, where=[True, False])
            with pytest.raises(InputError, match=r"`sample_weight` .*; sample_weight\[0\] is\."):
                xentropy.cross_entropy(x, labels, sample_weight=bad, ignore_index=0)
    with xentropy.strict():
        xentropy.cross_entropy(x, labels, sample_weight=NAN, where=False)
        # One weight for both: any example that is kept has it.
        one = [[NAN, 1.0, 1.0]]
        keep = np.array([[False, True, True], [False, True, False]])
        xentropy.squared_error(x, 0.0, sample_weight=one, where=keep)
        with pytest.raises(InputError, match=r"sample_weight\[0, 0\] is\."):
            xentropy.squared_error(x, 0.0, sample_weight=one, where=~keep)


def test_ignored_labels_are_not_looked_at(harness: Harness) -> None:
    bad = harness.array(changed(LOGITS, 0, NAN))
    with xentropy.strict():
        xentropy.cross_entropy(bad, [-100, 1], ignore_index=-100)
        with pytest.raises(InputError):
            xentropy.cross_entropy(bad, [1, -100], ignore_index=-100)


def test_a_row_of_labels_for_all_is_looked_at_while_any_example_is_kept(harness: Harness) -> None:
    x, labels = harness.array(LOGITS), harness.array(np.array([[0.5, NAN, 0.5]], np.float32))
    with xentropy.strict():
        xentropy.softmax_cross_entropy(x, labels, where=[False, False])
        with pytest.raises(LabelError, match=r"labels\[0, 1\] is\."):
            xentropy.softmax_cross_entropy(x, labels, where=[False, True])


def test_classes_that_are_masked_are_not_looked_at(harness: Harness) -> None:
    bad = harness.array(changed(LOGITS, (slice(None), 1), NAN))
    with xentropy.strict():
        xentropy.cross_entropy(bad, [0, 2], class_mask=[True, False, True])
        xentropy.logsumexp(bad, where=[True, False, True])
        twice = np.array([[0.5, 9.0, 0.5], [0.25, 9.0, 0.75]], np.float32)
        with pytest.raises(InputError, match="every row"):
            xentropy.cross_entropy(harness.array(twice), [0, 2], class_mask=[True, False, True])


def refused() -> bool:
    try:
        xentropy.squared_error(np.array([NAN]), 0.0)
    except InputError:
        return True
    return False


def test_it_is_off_by_default_and_nests() -> None:
    assert not refused()
    with xentropy.strict():
        assert refused()
        with xentropy.strict():
            assert refused()
        assert refused()
    assert not refused()


def test_it_ends_with_an_exception() -> None:
    with pytest.raises(KeyError), xentropy.strict():
        raise KeyError
    assert not refused()


def in_thread(function: Callable[[], Any]) -> Any:
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def test_it_is_a_matter_of_the_context() -> None:
    outside = contextvars.copy_context()
    with xentropy.strict():
        assert not in_thread(refused)
        assert in_thread(lambda: None) is None
        inside = contextvars.copy_context()
        assert not outside.run(refused)
    assert in_thread(lambda: inside.run(refused))
    assert not refused()


def test_a_traced_call_is_not_looked_at(harness: Harness, mode: str) -> None:
    bad = harness.array(changed(LOGITS, (1, 2), NAN))
    labels = harness.array(np.array([0, 1]))
    run = harness.modes[mode](xentropy.sparse_softmax_cross_entropy)
    if mode == "eager":
        with xentropy.strict(), pytest.raises(InputError):
            run(bad, labels)
        return
    with xentropy.strict():
        losses = harness.numpy(run(bad, labels))
    assert np.isnan(losses).tolist() == [False, True]


@pytest.mark.parametrize("narrow", ["float16", "float32"])
def test_sums_to_the_rounding_of_the_dtype_that_came(harness: Harness, narrow: str) -> None:
    """Narrow labels beside wide logits, and narrow probabilities in the place of logits."""
    e = np.exp(np.random.default_rng(5).normal(size=(4, 50)))
    rounded = (e / e.sum(-1, keepdims=True)).astype(narrow)
    assert np.any(rounded.astype(np.float64).sum(-1) != 1)
    with xentropy.strict():
        xentropy.softmax_cross_entropy(harness.array(e), rounded)
        with pytest.raises(xentropy.XentropyError, match="softmax applied twice"):
            xentropy.cross_entropy(rounded, np.arange(4))
