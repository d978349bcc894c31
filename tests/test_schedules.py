"""Numbers that change from call to call, as a schedule has them: nothing is compiled anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests.cases import Case, rng
from xentropy.testing import Harness

N, C, D = 6, 4, 3
VALUES = (0.3, 0.45, 0.6)


def cases() -> Iterator[tuple[Case, tuple[str, ...]]]:
    """Calls, and the options whose numbers change."""
    r = rng("schedules")
    logits, shares = r.normal(size=(N, C)), r.dirichlet(np.ones(C), N)
    index = {"logits": logits, "labels": r.integers(0, C, N)}
    dense = {"logits": logits, "labels": shares}
    pairs = {"predictions": logits, "targets": shares}
    layer = {"hidden": r.normal(size=(N, D)), "weight": r.normal(size=(C, D))}
    softmax, head = ("label_smoothing", "z_loss"), ("scale", "softcap")
    asked = {"outputs": ("entropy", "log_prob", "rank")}
    for loss, arrays, options in (
        ("cross_entropy", index, softmax),
        ("cross_entropy", dense, softmax),
        ("sigmoid_cross_entropy", dense, ("label_smoothing",)),
        ("binary_cross_entropy", {"probs": shares, "labels": shares}, ("label_smoothing",)),
        ("sigmoid_focal_cross_entropy", dense, ("gamma", "label_smoothing")),
        ("softmax_focal_cross_entropy", index, ("gamma",)),
        ("poly_cross_entropy", index, ("epsilon",)),
        ("kl_divergence", dense, ("temperature",)),
        ("huber", pairs, ("delta",)),
        ("smooth_l1", pairs, ("beta",)),
    ):
        yield Case(loss, loss, arrays, {}, (next(iter(arrays)),)), options
    ways: dict[str, dict[str, Any]] = {"": {}, " in blocks": {"max_memory": 1}}
    for name, more in ways.items():
        for kind, labels in (("", index["labels"]), (" dense", shares)):
            arrays, loss = {**layer, "labels": labels}, "linear_cross_entropy"
            yield Case(loss + kind + name, loss, arrays, more, tuple(layer)), (*head, *softmax)
        arrays, loss = {**layer, "labels": index["labels"]}, "linear_softmax_statistics"
        yield Case(loss + name, loss, arrays, asked | more), head
    yield Case("softmax_statistics", "softmax_statistics", index, asked), ("scale",)


EACH = [(case, option) for case, options in cases() for option in options]
HEADS = [each for each in EACH if each[0].name == "linear_cross_entropy"]


def assert_compiled_once(harness: Harness, call: Callable[[float], Any]) -> None:
    """Nothing is compiled for the second number and those that follow."""
    call(VALUES[0])
    with harness.compiles_nothing():
        found = [call(value) for value in VALUES[1:]]
    assert found


@pytest.mark.parametrize(("case", "option"), EACH, ids=str)
def test_values(harness: Harness, case: Case, option: str) -> None:
    given = case.give(harness, "float32").values()
    assert_compiled_once(harness, lambda value: case.function(**{option: value})(*given))


@pytest.mark.parametrize(("case", "option"), EACH, ids=str)
def test_transfers(harness: Harness, case: Case, option: str) -> None:
    """A number is put on the device explicitly."""
    guard, given = harness.no_transfers(), case.give(harness, "float32").values()
    if guard is None:
        pytest.skip("see Harness.no_transfers")
    with guard:
        found = case.function(**{option: VALUES[0]})(*given)
    assert found is not None


@pytest.mark.parametrize(("case", "option"), [each for each in EACH if each[0].wrt], ids=str)
def test_gradients(harness: Harness, case: Case, option: str) -> None:
    def call(value: float) -> Any:
        return case.value_and_grads(harness, "float32", reduction="mean", **{option: value})

    assert_compiled_once(harness, call)


@pytest.mark.parametrize(("case", "option"), HEADS, ids=str)
def test_transforms(harness: Harness, transform: str, case: Case, option: str) -> None:
    hidden, *rest = case.give(harness, "float32").values()
    both = harness.array(np.stack([harness.numpy(hidden)] * 2))
    f = harness.transforms[transform]

    def call(value: float) -> Any:
        loss = case.function(reduction="sum", **{option: value})
        if transform == "jvp":
            return f(lambda x: loss(x, *rest), (hidden,), (hidden,))
        if transform == "vmap":
            return f(lambda x: loss(x, *rest))(both)
        return f(lambda x: loss(x, *rest), hidden)

    assert_compiled_once(harness, call)


@pytest.mark.parametrize(("case", "option"), HEADS, ids=str)
def test_called_kernels(harness: Harness, case: Case, option: str) -> None:
    """The calls of kernels, too, are the same for any number."""
    context = harness.called_kernels()
    if context is None:
        pytest.skip("its compiled code calls no kernels: see Harness.called_kernels")

    def call(value: float) -> Any:
        return case.value_and_grads(harness, "float32", reduction="mean", **{option: value})

    with context:
        assert_compiled_once(harness, call)
