"""The loss of a linear layer where TensorFlow differs: unknown batches, variables, saved models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from tests.cases import rng
from xentropy.parity import compare
from xentropy.testing import Harness

CLASSES, FEATURES = 11, 5
THREE_ROWS = 16 * CLASSES * 3


@pytest.fixture
def tf(harness: Harness) -> Any:
    if str(harness) != "tensorflow":
        pytest.skip("of TensorFlow")
    return pytest.importorskip("tensorflow")


def arrays(tf: Any) -> tuple[Any, Any, Any]:
    r = rng("linear in tensorflow")
    hidden = r.normal(size=(2, 4, FEATURES)).astype(np.float32)
    weight = r.normal(size=(CLASSES, FEATURES)).astype(np.float32)
    return tf.constant(hidden), tf.Variable(weight), tf.constant(r.integers(0, CLASSES, (2, 4)))


def loss(hidden: Any, weight: Any, labels: Any) -> Any:
    return xentropy.linear_cross_entropy(
        hidden, weight, labels, reduction="mean", max_memory=THREE_ROWS
    )


def gradients(tf: Any, f: Any, hidden: Any, weight: Any) -> list[Any]:
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        value = f()
    return [value, *tape.gradient(value, [hidden, weight])]


def wanted(tf: Any, hidden: Any, weight: Any, labels: Any) -> list[Any]:
    def dense() -> Any:
        logits = tf.matmul(hidden, weight, transpose_b=True)
        return xentropy.cross_entropy(logits, labels, reduction="mean")

    return gradients(tf, dense, hidden, weight)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_batch_of_unknown_length(tf: Any, harness: Harness, compiled: bool) -> None:
    hidden, weight, labels = arrays(tf)
    signature = [tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), tf.int64)]
    call = tf.function(
        lambda h, y: loss(h, weight, y), input_signature=signature, jit_compile=compiled
    )
    got = gradients(tf, lambda: call(hidden, labels), hidden, weight)
    for a, b in zip(got, wanted(tf, hidden, weight, labels), strict=True):
        assert_close(harness, a, b, compare.GRADIENT)


def test_a_saved_model_keeps_its_gradient(tf: Any, harness: Harness, tmp_path: Path) -> None:
    hidden, weight, labels = arrays(tf)
    module = tf.Module()
    module.weight = weight
    signature = [tf.TensorSpec((None, None, FEATURES)), tf.TensorSpec((None, None), tf.int64)]
    module.loss = tf.function(lambda h, y: loss(h, module.weight, y), input_signature=signature)
    tf.saved_model.save(module, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    got = gradients(tf, lambda: loaded.loss(hidden, labels), hidden, loaded.weight)
    for a, b in zip(got, wanted(tf, hidden, weight, labels), strict=True):
        assert_close(harness, a, b, compare.GRADIENT)


def test_what_no_tape_watches_has_no_gradient(
    tf: Any, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xentropy.kernels import linear

    asked = []

    def noted(state: Any, cotangent: Any, wanted: Any, empty: Any) -> Any:
        asked.append(wanted)
        return of_kernel(state, cotangent, wanted, empty)

    of_kernel = linear.gradients
    monkeypatch.setattr(linear, "gradients", noted)
    hidden, weight, labels = arrays(tf)
    with tf.GradientTape() as tape:
        value = loss(hidden, weight, labels)
    tape.gradient(value, weight)
    assert asked == [(False, True, False)]
