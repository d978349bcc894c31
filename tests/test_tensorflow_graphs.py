"""Graphs of TensorFlow: what they close over, and lengths that they know only when they run."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from xentropy.errors import UnsupportedError
from xentropy.parity import compare
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


# --- lengths that are not known ---------------------------------------------------------------

SQUARE = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [5.0, 0.0, 0.0]], np.float32)
Losses = Callable[..., Any]

ROWS: dict[str, tuple[Losses, np.ndarray[Any, Any]]] = {
    "index": (xentropy.sparse_softmax_cross_entropy, np.array([0, 1, 2])),
    "mean": (lambda x, y: xentropy.cross_entropy(x, y, reduction="mean"), np.array([0, 1, 2])),
    "focal": (xentropy.softmax_focal_cross_entropy, np.array([0, 1, 2])),
    "ranks": (
        lambda x, y: xentropy.softmax_statistics(x, y, outputs=("rank",)).rank,
        np.array([0, 1, 2]),
    ),
    "linear": (lambda x, y: xentropy.linear_cross_entropy(x, SQUARE, y), np.array([0, 1, 2])),
}
"""Of what has one index a row."""

STRETCHED: dict[str, tuple[Losses, np.ndarray[Any, Any]]] = {
    "dense": (xentropy.softmax_cross_entropy, np.full((3, 3), 1 / 3, np.float32)),
    "binary": (xentropy.sigmoid_cross_entropy, np.full((3, 3), 1 / 3, np.float32)),
    "targets": (xentropy.huber, np.ones((3, 3), np.float32)),
    "class mask": (lambda x, w: xentropy.logsumexp(x, where=w > 0), np.ones((3, 3), np.float32)),
    "sample weights": (
        lambda x, w: xentropy.kl_divergence(x, 1 / 3, sample_weight=w, reduction="mean"),
        np.ones(3, np.float32),
    ),
    "where": (lambda x, w: xentropy.kl_divergence(x, 1 / 3, where=w > 0), np.ones(3, np.float32)),
    "linear dense": (
        lambda x, t: xentropy.linear_cross_entropy(x, SQUARE, t),
        np.full((3, 3), 1 / 3, np.float32),
    ),
}
"""Of what may have one row for all."""


def of_any_batch(tf: Any, f: Losses, compiled: bool, *given: np.ndarray[Any, Any]) -> Any:
    """The result of a graph that knows no first length, and its gradient."""
    specs = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in given]

    @tf.function(input_signature=specs, jit_compile=compiled)
    def graph(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = f(x, y)
        return result, tape.gradient(result, x) if result.dtype.is_floating else result

    return graph(*map(tf.constant, given))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize(("rows", "others"), [(3, 1), (1, 3), (0, 1), (2, 3)])
@pytest.mark.parametrize("name", ROWS)
def test_other_lengths_of_indices_are_refused(
    tf: Any, harness: Harness, name: str, rows: int, others: int, compiled: bool
) -> None:
    f, index = ROWS[name]
    with pytest.raises(tf.errors.InvalidArgumentError):
        of_any_batch(tf, f, compiled, SQUARE[:rows], index[:others])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", STRETCHED)
def test_predictions_are_not_stretched(
    tf: Any, harness: Harness, name: str, compiled: bool
) -> None:
    f, other = STRETCHED[name]
    with pytest.raises(tf.errors.InvalidArgumentError):
        of_any_batch(tf, f, compiled, SQUARE[:1], other)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("rows", [3, 1])
@pytest.mark.parametrize("name", STRETCHED)
def test_others_are_stretched(
    tf: Any, harness: Harness, name: str, rows: int, compiled: bool
) -> None:
    f, other = STRETCHED[name]
    found = of_any_batch(tf, f, compiled, SQUARE, other[:rows])
    assert_close(harness, found[0], f(tf.constant(SQUARE), tf.constant(other[:rows])))


R = np.random.default_rng(0)
HIDDEN, LAYER, BIAS = (R.normal(size=n).astype(np.float32) for n in ((4, 5), (7, 5), 7))
LABELS, DENSE = np.array([0, 1, 6, 2]), R.dirichlet(np.ones(7), 4).astype(np.float32)
LAYERS: dict[str, Callable[..., Any]] = {
    "index": lambda h, w, b: xentropy.linear_cross_entropy(
        h, w, LABELS, bias=b, label_smoothing=0.1, class_weight=b * b
    ),
    "dense": lambda h, w, b: xentropy.linear_cross_entropy(h, w, DENSE, bias=b, reduction="mean"),
    "blocks": lambda h, w, b: xentropy.linear_cross_entropy(h, w, LABELS, bias=b, max_memory=600),
    "statistics": lambda h, w, b: (
        xentropy.linear_softmax_statistics(h, w, LABELS, bias=b, outputs=("entropy",)).entropy
    ),
}
OPEN = {
    "classes": ((None, 5), (None, 5), (None,)),
    "classes of the weight": ((4, 5), (None, 5), (7,)),
    "features": ((None, None), (7, None), (7,)),
    "features of the weight": ((4, 5), (7, None), (7,)),
    "all": ((None, None), (None, None), (None,)),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shapes", OPEN)
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_any_size(
    tf: Any, harness: Harness, name: str, shapes: str, compiled: bool
) -> None:
    def both(*given: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(given)
            result = LAYERS[name](*given)
        return result, *tape.gradient(result, given)

    specs, given = list(map(tf.TensorSpec, OPEN[shapes])), (HIDDEN, LAYER, BIAS)
    graph = tf.function(both, input_signature=specs, jit_compile=compiled)
    for found, expected in zip(graph(*given), both(*map(tf.constant, given)), strict=True):
        assert_close(harness, found, expected, compare.GRADIENT)


@pytest.mark.parametrize("compiled", [False, True])
def test_other_sizes_of_layers_are_refused(tf: Any, harness: Harness, compiled: bool) -> None:
    specs = list(map(tf.TensorSpec, OPEN["all"]))
    graph = tf.function(LAYERS["dense"], input_signature=specs, jit_compile=compiled)
    for given in (
        (HIDDEN, LAYER, BIAS[:1]),
        (HIDDEN[:, :1], LAYER, BIAS),
        (HIDDEN, LAYER[:1], BIAS),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError):
            graph(*given)


@pytest.mark.parametrize("option", ["class_weight", "sample_weight"])
def test_means_of_any_number_of_classes(tf: Any, harness: Harness, option: str) -> None:
    def mean(x: Any, w: Any) -> Any:
        return xentropy.cross_entropy(x, [0, 1], reduction="mean", **{option: w})

    given = LOGITS, WEIGHT[: 3 if option == "class_weight" else 2]
    specs = [tf.TensorSpec((None, None)), tf.TensorSpec((None,))]
    graph = tf.function(mean, input_signature=specs)
    assert_close(harness, graph(*given), mean(*map(tf.constant, given)))
    with pytest.raises(tf.errors.InvalidArgumentError):
        graph(LOGITS, WEIGHT[:1] if option == "class_weight" else WEIGHT)


# --- tensors that are compared by identity ----------------------------------------------------

REFUSED = """xentropy.kl_divergence: `logits` must be a tensor whose values == compares.
  logits: float32[2, 3] tensorflow{place}
Hint: call it in eager mode or in tf.function, with tensor equality enabled."""


def test_graphs_of_version_1_are_refused(tf: Any, harness: Harness) -> None:
    def call(x: Any) -> Any:
        return xentropy.kl_divergence(x, SHARES)

    with tf.Graph().as_default():
        x = tf.compat.v1.placeholder(tf.float32, LOGITS.shape)
        with pytest.raises(UnsupportedError, match=exactly(REFUSED.format(place=""))):
            call(x)
        with pytest.raises(UnsupportedError):
            tf.function(call)(x)


def test_tensors_without_equality_are_refused(tf: Any, harness: Harness) -> None:
    x, y = tf.constant(LOGITS), tf.constant(INDEX, tf.int64)
    tf.compat.v1.disable_tensor_equality()
    try:
        with pytest.raises(UnsupportedError, match=exactly(REFUSED.format(place=" cpu"))):
            xentropy.kl_divergence(x, SHARES)
        with pytest.raises(UnsupportedError):
            xentropy.cross_entropy(x, y)
        with pytest.raises(UnsupportedError):
            tf.function(xentropy.linear_cross_entropy)(x, tf.eye(3), y)
    finally:
        tf.compat.v1.enable_tensor_equality()


def exactly(text: str) -> str:
    return f"^{re.escape(text)}$"
