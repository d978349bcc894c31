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


# --- graphs -----------------------------------------------------------------------------------

ROWS, MANY = 45, 83
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2, "z_loss": 0.1, "softcap": 3.0, "scale": 0.5},
    "weighted": {"ignore_index": 3, "reduction": "none"},
}
ARRAYS = {
    "plain": (),
    "smoothed": ("bias", "class_weight", "class_mask"),
    "weighted": ("bias", "sample_weight"),
}


def graph(tf: Any, f: Any, way: str, *arguments: Any) -> Any:
    """The function as a graph, where its first two axes, of rows, may be unknown."""
    if way != "unknown rows":
        return tf.function(f, jit_compile=way == "XLA")
    specs = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in arguments]
    return tf.function(f, input_signature=specs)


WAYS = ["graph", "XLA", "unknown rows"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tiles_across_both_axes(
    tf: Any, harness: Harness, options: str, way: str, dtype: str
) -> None:
    """Beside the dense loss of the same logits in float64, whatever fits into a tile."""
    r = rng("tiles in graphs")
    given = {
        "weight": r.normal(size=(MANY, FEATURES)),
        "bias": r.normal(size=MANY),
        "class_weight": r.uniform(0.5, 2.0, MANY),
        "class_mask": r.random((1, MANY)) < 0.9,
        "sample_weight": r.uniform(0.5, 2.0, ROWS),
    }
    labels = r.choice(np.flatnonzero(given["class_mask"][0]), ROWS)
    hidden = r.normal(size=(ROWS, FEATURES))
    given = {k: v for k, v in given.items() if k == "weight" or k in ARRAYS[options]}
    given = {k: v if v.dtype == bool else v.astype(dtype) for k, v in given.items()}
    hidden = hidden.astype(dtype)
    names = [k for k in given if k in ("weight", "bias", "class_weight")]

    def derived(loss: Any, hidden: Any, labels: Any, arrays: dict[str, Any]) -> list[Any]:
        sources = [hidden, *(arrays[k] for k in names)]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            value = loss(hidden, labels, arrays)
        return [value, *tape.gradient(value, sources)]

    def by_tile(hidden: Any, labels: Any, arrays: dict[str, Any]) -> Any:
        return xentropy.linear_cross_entropy(
            hidden, labels=labels, max_memory=2**13, **arrays, **OPTIONS[options]
        )

    def dense(hidden: Any, labels: Any, arrays: dict[str, Any]) -> Any:
        weight, bias = arrays.pop("weight"), arrays.pop("bias", None)
        logits = tf.matmul(hidden, weight, transpose_b=True)
        others = dict(OPTIONS[options])
        if bias is not None:
            logits += bias
        logits *= others.pop("scale", 1.0)
        if "softcap" in others:
            cap = others.pop("softcap")
            logits = cap * tf.tanh(logits / cap)
        return xentropy.cross_entropy(logits, labels, **arrays, **others)

    own = {k: tf.constant(v) for k, v in given.items()}
    call = graph(tf, lambda h, y: derived(by_tile, h, y, own), way, hidden, labels)
    found = call(tf.constant(hidden), tf.constant(labels))
    wide = {k: tf.constant(v if v.dtype == bool else v.astype("f8")) for k, v in given.items()}
    wanted = derived(
        lambda h, y, a: dense(h, y, dict(a)), tf.constant(hidden.astype("f8")), labels, wide
    )
    for a, b in zip(found, wanted, strict=True):
        relative, absolute = BOUNDS[dtype]
        np.testing.assert_allclose(a, b, relative, absolute)


BOUNDS = {"float32": (2e-5, 2e-6), "float64": (1e-13, 1e-14)}


@pytest.mark.parametrize("way", WAYS)
def test_second_derivatives_of_rows_left_out(tf: Any, way: str) -> None:
    """Whatever label they have: beside the loss of the other rows."""
    r = rng("second derivatives in graphs")
    hidden, weight = (tf.constant(r.normal(size=(n, FEATURES))) for n in (6, CLASSES))
    labels, along = np.array([0, 1, -100, 3, 2, -100]), tf.constant(r.normal(size=(6, FEATURES)))

    def derived(hidden: Any, labels: Any, along: Any) -> list[Any]:
        with tf.GradientTape() as outer:
            outer.watch([hidden, weight])
            with tf.GradientTape() as inner:
                inner.watch(hidden)
                value = xentropy.linear_cross_entropy(
                    hidden, weight, labels, ignore_index=-100, reduction="sum"
                )
            total = tf.reduce_sum(inner.gradient(value, hidden) * along)
        found: list[Any] = outer.gradient(total, [hidden, weight])
        return found

    given = (hidden, tf.constant(labels), along)
    by_hidden, by_weight = graph(tf, derived, way, *given)(*given)
    kept = np.flatnonzero(labels >= 0)
    wanted = derived(*(tf.gather(x, kept) for x in given))
    np.testing.assert_allclose(tf.gather(by_hidden, kept), wanted[0], 1e-12, 1e-14)
    np.testing.assert_array_equal(tf.gather(by_hidden, np.flatnonzero(labels < 0)), 0)
    np.testing.assert_allclose(by_weight, wanted[1], 1e-12, 1e-14)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", ["index", "dense", "statistics"])
def test_forward_mode_in_a_graph(tf: Any, function: str, way: str) -> None:
    """Of the losses and of their gradients, row by row, beside TensorFlow's own of all logits."""
    r = rng("forward mode in graphs")
    shapes = (6, FEATURES), (CLASSES, FEATURES)
    hidden, weight = (tf.constant(r.normal(size=shape)) for shape in shapes)
    along = tuple(tf.constant(r.normal(size=shape)) for shape in shapes)
    index = tf.constant(r.integers(0, CLASSES, 6))
    shares = tf.constant(r.dirichlet(np.ones(CLASSES), 6)) if function == "dense" else None

    def by_row(hidden: Any, weight: Any) -> Any:
        labels = index if shares is None else shares
        if function != "statistics":
            return xentropy.linear_cross_entropy(hidden, weight, labels, max_memory=1)
        return -xentropy.linear_softmax_statistics(
            hidden, weight, labels, outputs="log_prob", max_memory=1
        ).log_prob

    def dense(hidden: Any, weight: Any) -> Any:
        labels = tf.one_hot(index, CLASSES, dtype=tf.float64) if shares is None else shares
        logits = tf.matmul(hidden, weight, transpose_b=True)
        return tf.nn.softmax_cross_entropy_with_logits(labels, logits)

    def derived(f: Any) -> Any:
        def run(hidden: Any) -> list[Any]:
            arrays = (hidden, weight)
            with tf.autodiff.ForwardAccumulator(arrays, along) as forward:
                with tf.GradientTape() as tape:
                    tape.watch(arrays)
                    value = f(*arrays)
                    total = tf.reduce_sum(value**2)
                return [forward.jvp(x) for x in (value, *tape.gradient(total, arrays))]

        return run

    found = graph(tf, derived(by_row), way, hidden)(hidden)
    for a, b in zip(found, derived(dense)(hidden), strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-13)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_no_rows_in_graphs(tf: Any, reduction: Any, way: str) -> None:
    r = rng("no rows")
    weight = tf.constant(r.normal(size=(CLASSES, FEATURES)))
    given = tf.zeros((0, FEATURES), tf.float64), tf.zeros((0,), tf.int64)

    def derived(hidden: Any, labels: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch([hidden, weight])
            value = xentropy.linear_cross_entropy(hidden, weight, labels, reduction=reduction)
        return [value, *tape.gradient(value, [hidden, weight])]

    value, by_hidden, by_weight = graph(tf, derived, way, *given)(*given)
    assert by_hidden.shape == (0, FEATURES)
    np.testing.assert_array_equal(by_weight, np.zeros(weight.shape))
    np.testing.assert_array_equal(value, np.zeros((0,) if reduction == "none" else ()))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_a_tape_around_a_map(tf: Any, reduction: Any, compiled: bool) -> None:
    """Beside one call after the other."""
    r = rng("a map of heads")
    hidden, weight = (tf.constant(r.normal(size=n)) for n in ((4, 3, FEATURES), (MANY, FEATURES)))
    labels = tf.constant(r.integers(0, MANY, (4, 3)))

    def one(call: tuple[Any, Any]) -> Any:
        return xentropy.linear_cross_entropy(call[0], weight, call[1], reduction=reduction)

    def derived(over_calls: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            tape.watch([hidden, weight])
            value = over_calls(one, (hidden, labels))
        return [value, *tape.gradient(value, [hidden, weight])]

    def loop(f: Any, arrays: tuple[Any, Any]) -> Any:
        return tf.stack([f(call) for call in zip(*map(tf.unstack, arrays), strict=True)])

    found = tf.function(lambda: derived(tf.vectorized_map), jit_compile=compiled)()
    for a, b in zip(found, derived(loop), strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-14)


@pytest.mark.parametrize("way", ["eager", "graph", "XLA"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("function", ["linear_cross_entropy", "cross_entropy"])
def test_a_tape_around_a_map_by_weights(tf: Any, function: str, reduction: Any, way: str) -> None:
    """Of 0 in places, and in all of a call; beside what calculus makes of TensorFlow's losses."""
    r = rng("weights in maps")
    hidden, weight = r.normal(size=(3, 4, FEATURES)), r.normal(size=(CLASSES, FEATURES))
    labels, weights = r.integers(0, CLASSES, (3, 4)), r.uniform(0.5, 2.0, (3, 4))
    weights[1], weights[2, 1] = 0, 0

    def one(call: tuple[Any, Any, Any]) -> Any:
        x, y, s = call
        head = (x, weight) if function == "linear_cross_entropy" else (x @ weight.T,)
        return getattr(xentropy, function)(*head, y, sample_weight=s, reduction=reduction)

    def derived(*calls: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(calls[2])
            value = tf.vectorized_map(one, calls)
        return tape.gradient(value, calls[2])

    given = tuple(map(tf.constant, (hidden, labels, weights)))
    found = (derived if way == "eager" else graph(tf, derived, way))(*given)
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, hidden @ weight.T).numpy()
    if reduction == "mean":
        below = weights.sum(1, keepdims=True)
        mean = (weights * each).sum(1, keepdims=True) / np.where(below == 0, 1, below)
        each = np.where(below == 0, 0, (each - mean) / np.where(below == 0, 1, below))
    np.testing.assert_allclose(found, each, 1e-12, 1e-14)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("function", ["linear_cross_entropy", "linear_softmax_statistics"])
def test_graphs_hold_no_logits(tf: Any, harness: Harness, function: str, way: str) -> None:
    """Of 64 MiB; the gradient of the weight takes 8 MiB, and so does what some rows add to it."""
    classes, features = 2**15, 64
    r = rng("memory of graphs")
    weight = tf.constant(r.normal(size=(classes, features)), tf.float32)
    hidden = tf.constant(r.normal(size=(512, features)), tf.float32)
    labels = tf.constant(r.integers(0, classes, 512))

    def derived(hidden: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([hidden, weight])
            if function == "linear_cross_entropy":
                value = xentropy.linear_cross_entropy(hidden, weight, labels, reduction="mean")
            else:
                value, _ = xentropy.linear_softmax_statistics(
                    hidden, weight, labels, outputs=("log_prob", "rank"), max_memory=2**23
                )
        return tape.gradient(value, [hidden, weight])

    call = graph(tf, derived, way, hidden, labels)
    call(hidden, labels)
    tf.config.experimental.reset_memory_stats("CPU:0")
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    found = call(hidden, labels)
    most = tf.config.experimental.get_memory_info("CPU:0")["peak"] - before
    assert [x.shape for x in found] == [hidden.shape, weight.shape]
    assert 2**23 <= most < 2**25


def test_eager_statistics_hold_no_second_gradient(tf: Any) -> None:
    """Beside that of the weight, 32 MiB in memory of ours, there are logits and products."""
    classes, features, most = 2**15, 256, 2**22
    r = rng("memory of eager statistics")
    weight = tf.constant(r.normal(size=(classes, features)), tf.float32)
    hidden = tf.constant(r.normal(size=(64, features)), tf.float32)
    labels = tf.constant(r.integers(0, classes, 64))

    def derived() -> Any:
        with tf.GradientTape() as tape:
            tape.watch([hidden, weight])
            found = xentropy.linear_softmax_statistics(
                hidden, weight, labels, outputs=("log_prob", "entropy"), max_memory=most
            )
            value = tf.reduce_sum(found.log_prob) + tf.reduce_sum(found.entropy)
        return tape.gradient(value, [hidden, weight])

    tf.config.experimental.reset_memory_stats("CPU:0")
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    by_hidden, by_weight = derived()
    beyond = tf.config.experimental.get_memory_info("CPU:0")["peak"] - before
    assert beyond < most + 2**24
    assert by_hidden.shape == hidden.shape
    assert by_weight.shape == weight.shape


@pytest.mark.parametrize("way", ["graph", "unknown rows"])  # XLA drops it by itself
@pytest.mark.parametrize("wanted", ["hidden", "weight"])
def test_graphs_drop_what_nobody_asks_for(tf: Any, wanted: str, way: str) -> None:
    """The other gradient, though a tape watches for it, would take 8 MiB; blocks fill the rows."""
    large, small, features = 2**15, 2**9, 64
    rows, classes = (small, large) if wanted == "hidden" else (large, small)
    r = rng("frozen in graphs")
    weight = tf.constant(r.normal(size=(classes, features)), tf.float32)
    hidden = tf.constant(r.normal(size=(rows, features)), tf.float32)
    labels = tf.constant(r.integers(0, classes, rows))

    def derived(hidden: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch([hidden, weight])
            value = xentropy.linear_cross_entropy(
                hidden, weight, labels, reduction="mean", max_memory=96 * 2**13
            )
        return tape.gradient(value, hidden if wanted == "hidden" else weight)

    call = graph(tf, derived, way, hidden, labels)
    call(hidden, labels)
    tf.config.experimental.reset_memory_stats("CPU:0")
    before = tf.config.experimental.get_memory_info("CPU:0")["current"]
    call(hidden, labels)
    assert tf.config.experimental.get_memory_info("CPU:0")["peak"] - before < 2**23
