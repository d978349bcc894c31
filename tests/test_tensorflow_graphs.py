"""Graphs of TensorFlow: what they close over, and lengths that they know only when they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from xentropy.testing import Harness

LOGITS = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], np.float32)
INDEX = np.array([0, 1], np.int32)
SHARES = np.array([[0.2, 0.3, 0.5], [0.1, 0.8, 0.1]], np.float32)
WEIGHT = np.array([1.0, 2.0, 3.0], np.float32)

# --- eager tensors that a function closes over ------------------------------------------------

CLOSED: dict[str, Callable[..., Any]] = {
    "index": lambda x, y, t, w: xentropy.cross_entropy(x, y, class_weight=w, reduction="mean"),
    "dense": lambda x, y, t, w: xentropy.softmax_cross_entropy(x, t, class_weight=w),
    "binary": lambda x, y, t, w: xentropy.sigmoid_cross_entropy(x, t, pos_weight=w),
    "divergence": lambda x, y, t, w: xentropy.kl_divergence(x, t),
    "normalizer": lambda x, y, t, w: xentropy.logsumexp(x),
    "linear": lambda x, y, t, w: xentropy.linear_cross_entropy(x, t, y % 2, sample_weight=w[:2]),
    "statistics": lambda x, y, t, w: (
        xentropy.linear_softmax_statistics(x, t, y, outputs=("entropy",)).entropy
    ),
}


def loop(tf: Any, f: Any, x: Any) -> Any:
    total = tf.zeros(())
    for _ in tf.range(3):
        total += tf.reduce_sum(f(x))
    return total


def branch(tf: Any, f: Any, x: Any) -> Any:
    return tf.cond(x[0, 0] > 0, lambda: tf.reduce_sum(f(x)), lambda: tf.zeros(()))


def mapped(tf: Any, f: Any, x: Any) -> Any:
    return tf.map_fn(lambda z: tf.reduce_sum(f(z)), tf.stack([x, x]))


def first_order(tf: Any, f: Any, x: Any) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(f(x))
    return tf.reduce_sum(tape.gradient(total, x) ** 2)


@pytest.mark.parametrize("around", [loop, branch, mapped, first_order])
@pytest.mark.parametrize("name", CLOSED)
def test_a_function_closes_over_eager_tensors(
    tf: Any, harness: Harness, name: str, around: Callable[..., Any]
) -> None:
    """Weights, labels, and what is differentiated."""
    x, y, t, w = map(tf.constant, (LOGITS, INDEX, SHARES, WEIGHT))

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = around(tf, lambda z: CLOSED[name](z, y, t, w), x)
        return tape.gradient(result, x)

    assert_close(harness, tf.function(gradient)(), gradient())
