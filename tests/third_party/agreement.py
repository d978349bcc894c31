"""Every case of every loss, on the third party's arrays against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np

import xentropy
from tests.asserts import assert_case, assert_within
from tests.cases import CASES, Case, rng
from tests.third_party import tiny
from xentropy.parity import compare
from xentropy.testing import Harness

__all__ = ["assert_weak_arguments", "check_all_losses"]

# More than a narrow integer counts: index labels are compared in the widest dtype there is.
WIDE = Case(
    "300 classes",
    "sparse_softmax_cross_entropy",
    {"logits": np.linspace(-3, 3, 600).reshape(2, 300), "labels": np.array([299, 128])},
    wrt=("logits",),
)


class _Tiny(Harness):
    def array(self, x: Any) -> Any:
        return tiny.Array(x)

    def numpy(self, x: Any) -> Any:
        assert type(x) is tiny.Array
        return x.values


def check_all_losses() -> set[str]:
    """Compare values and gradients; returns the names of the losses."""
    harness, cases = _Tiny("tiny"), [*CASES, WIDE]
    for case in cases:
        for dtype in case.dtypes:
            value, grads = case.value_and_grads(harness, dtype)
            arrays = {name: harness.numpy(grad) for name, grad in grads.items()}
            assert_case(case, dtype, harness.numpy(value), arrays)
    assert_statistics(harness)
    assert_layer(harness)
    others = {"softmax_statistics", "linear_softmax_statistics", "linear_cross_entropy"}
    return {case.loss for case in cases} | others


def assert_layer(harness: Harness) -> None:
    """What a linear layer gives, a row at a time, is what its logits give all at once."""
    r = rng("third party layer")
    hidden, weight = r.integers(-3, 4, (4, 3)) / 2, r.integers(-3, 4, (5, 3)) / 2
    logits, y = hidden @ weight.T, np.array([0, 4, 2, -1])
    given: Any = {"ignore_index": -1, "class_weight": np.arange(5.0)}
    arrays = harness.array(hidden), harness.array(weight), harness.array(y)
    got: Any = xentropy.linear_cross_entropy(*arrays, max_memory=1, reduction="mean", **given)
    want: Any = xentropy.cross_entropy(logits, y, reduction="mean", **given)
    assert_within(harness.numpy(got), want, np.abs(want), compare.bound("cross_entropy", {}).value)
    asked: Any = {"outputs": ("entropy", "log_prob"), "ignore_index": -1}
    found: Any = xentropy.linear_softmax_statistics(*arrays, max_memory=1, **asked)
    for one, other in zip(found, xentropy.softmax_statistics(logits, y, **asked), strict=True):
        bound = compare.bound("softmax_statistics", {}).value
        assert_within(harness.numpy(one), other, np.abs(other), bound)


def assert_statistics(harness: Harness) -> None:
    """Compare orders exactly, and the others to the bound of a loss, with those of NumPy."""
    x = rng("third party").normal(size=(4, 3, 5)).astype(np.float32)
    outputs = ("log_prob", "logsumexp", "entropy", "rank", "correct", ("top_k", 2))
    options: Any = {"outputs": outputs, "class_mask": [True] * 4 + [False], "scale": 0.5}
    for axis in (0, 2):
        y = np.arange(15 if axis == 0 else 12).reshape((3, 5) if axis == 0 else (4, 3)) % 4
        mask = {"class_mask": [True] * 3 + [False]} if axis == 0 else {}
        given = {**options, **mask, "axis": axis}
        want = xentropy.softmax_statistics(x, y, **given)
        got: Any = xentropy.softmax_statistics(harness.array(x), harness.array(y), **given)
        for name, value in got._asdict().items():
            one, other = harness.numpy(value), getattr(want, name)
            if one.dtype.kind == "f":
                np.testing.assert_array_max_ulp(one, other, int(compare.VALUE))
            else:
                np.testing.assert_array_equal(one, other)


def assert_weak_arguments() -> None:
    """Compare what lists and NumPy arrays give with what the library's own arrays give."""
    x, labels, weight = np.array([[0.1, 0.3], [2.0, 5.0]]), np.array([0, 1]), np.array([0.1, 0.7])
    own = (tiny.Array(x), tiny.Array(labels), tiny.Array(weight))
    loss: Any = xentropy.sparse_softmax_cross_entropy  # `Array` has none of the static types
    expected = loss(own[0], own[1], sample_weight=own[2])
    for logits, t, w in (
        (own[0], labels, weight),
        (own[0], labels.tolist(), weight.tolist()),
        (x.tolist(), own[1], weight),
        (x.tolist(), labels.tolist(), own[2]),
    ):
        got = loss(logits, t, sample_weight=w)
        assert type(got) is tiny.Array
        np.testing.assert_array_equal(got.values, expected.values)
