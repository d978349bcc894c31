"""Calls of the dialect tensorflow, its originals, and the truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tests.dialects import tensorflow_v1_cases as v1
from tests.dialects.case import Array, Case, array
from tests.dialects.tensorflow_truth import FUNCTIONS
from tests.dialects.tensorflow_v1_cases import V1, data

VERSION = "2.21.0"
DTYPES = ("float16", "bfloat16", "float32", "float64")
SIGMOID = "sigmoid_cross_entropy_with_logits"
WEIGHTED = "weighted_cross_entropy_with_logits"
SOFTMAX = "softmax_cross_entropy_with_logits"
SPARSE = "sparse_softmax_cross_entropy_with_logits"


def _sigmoids(d: dict[str, Array], dtype: str) -> Iterator[Case]:
    def of(x: Any) -> Array:
        return array(x, dtype)

    both, none = (0, 1), np.zeros((0, 3))
    for name, t, x in (
        ("hard", d["hard"], d["x"]),
        ("soft", d["unit3"], d["x3"]),
        ("scalar", 0.3, -1.5),
        ("empty", none, none),
        ("zero", [0, 1, 0.5], [0, 0, -0.0]),
        ("far", [1, 0, 1, 0], [30, -30, -9, 9]),
    )[: None if dtype == "float32" else 2]:
        yield Case(f"{name}-{dtype}", SIGMOID, (of(t), of(x)), wrt=both)
        if name not in ("zero",):
            yield Case(f"{name}-number-{dtype}", WEIGHTED, (of(t), of(x), 2.5), wrt=both)
    t, x, all_three = of(d["hard"]), of(d["x"]), (0, 1, 2)
    shapes = ("column", [[1], [2], [0.25], [4]]), ("vector", [0.5, 2, 3]), ("0d", 3.0)
    for name, w in shapes[: None if dtype == "float32" else 1]:
        yield Case(f"{name}-{dtype}", WEIGHTED, (t, x, of(w)), wrt=all_three)
    larger = (t[0], x[0], of([[2], [0.5]]))
    yield Case(f"enlarged-{dtype}", WEIGHTED, larger, wrt=all_three)
    if dtype == "float32":
        larger = (t[:, :1], x[:, :1], of([[2, 0.5]]))
        yield Case("enlarged-by-columns", WEIGHTED, larger, wrt=all_three)
    if dtype in ("float32", "float64"):
        args = of([1, 0, 0, 1]), of([1e4, -1e4, 1e4, -1e4])
        yield Case(f"extreme-{dtype}", SIGMOID, args, wrt=both)
        yield Case(f"extreme-{dtype}", WEIGHTED, (*args, 0.5), wrt=both)


def _softmaxes(d: dict[str, Array], dtype: str) -> Iterator[Case]:
    def of(x: Any) -> Array:
        return array(x, dtype)

    x, x3, both = of(d["x"]), of(d["x3"]), (0, 1)
    one_hot, single = np.eye(3)[d["index"]], dtype == "float32"
    for name, t in (
        ("one-hot", one_hot),
        ("soft", d["soft"]),
        ("sums-to-2", [[0, 2, 0], [1, 1, 0], [0, 0, 0], [0.5, -1, 0.25]]),
    ):
        yield Case(f"{name}-{dtype}", SOFTMAX, (of(t), x), wrt=both)
        if single:
            yield Case(f"{name}-axis-0", SOFTMAX, (of(t), x), {"axis": 0}, wrt=both)
    for axis in (0, 1, 2, -1) if single else (1,):
        yield Case(
            f"rank-3-axis-{axis}-{dtype}", SOFTMAX, (of(d["soft3"]), x3), {"axis": axis}, wrt=both
        )
    for kind in ("int32", "int64") if single else ("int64",):
        index = d["index"].astype(kind)
        yield Case(f"{kind}-{dtype}", SPARSE, (index, x), wrt=(1,))
    far = of([[40, 0, 0], [0, 300, 0], [-300, 5, 5], [1000, 0, -1000]])
    yield Case(f"far-{dtype}", SPARSE, (np.asarray([0, 1, 2, 1]), far), wrt=(1,))
    yield Case(f"far-{dtype}", SOFTMAX, (of(np.eye(3)[[0, 1, 2, 1]]), far), wrt=both)
    holes = of([[1, -np.inf, 2], [-np.inf, 0, -np.inf]])
    yield Case(f"holes-{dtype}", SPARSE, (np.asarray([2, 1]), holes), wrt=(1,))
    if not single:
        return
    yield Case("one-row", SOFTMAX, (of(one_hot[0]), x[0]), wrt=both)
    none = of(np.zeros((0, 3)))
    yield Case("empty", SOFTMAX, (none, none), wrt=both)
    yield Case("one-class", SOFTMAX, (of([[1], [1]]), of([[3], [-4]])), wrt=both)
    yield Case("rank-3", SPARSE, (d["index3"], x3), wrt=(1,))
    yield Case("one-row", SPARSE, (d["index"][0], x[0]), wrt=(1,))
    yield Case("empty", SPARSE, (np.zeros(0, np.int64), none), wrt=(1,))


def _broadcast(d: dict[str, Array]) -> Iterator[Case]:
    x, x3 = array(d["x"], "float32"), array(d["x3"], "float32")
    t, t3 = array(d["soft"], "float32"), array(d["soft3"], "float32")
    for name, labels, logits, options in (
        ("vector", t[0], x, {}),
        ("row", t[:1], x, {}),
        ("column", t[:, :1], x, {}),
        ("vector-rank-3", t3[0, 0], x3, {}),
        ("row-rank-3", t3[:1, :1], x3, {}),
        ("column-rank-3", 0 * t3[..., :1] + 2, x3, {}),
        ("row-axis-1", t3[:1, :, :1], x3, {"axis": 1}),
        ("int", np.eye(3, dtype=np.int32)[d["index"]], x, {}),
        ("bool", d["hard"] > 0, x, {}),
        ("half-labels", array(d["soft"], "float16"), x, {}),
    ):
        yield Case(name, SOFTMAX, (labels, logits), options, wrt=(1,))
    yield Case("float64-labels", SOFTMAX, (d["soft"], x), wrt=(1,))
    yield Case("half-logits", SOFTMAX, (t, array(d["x"], "bfloat16")), wrt=(1,))


def _others(d: dict[str, Array], dtype: str) -> Iterator[Case]:
    def of(x: Any) -> Array:
        return array(x, dtype)

    shapes: tuple[tuple[str, Any], ...] = (
        ("matrix", d["x"]),
        ("scalar", 3.0),
        ("empty", []),
        ("rank-3", d["x3"]),
    )
    for name, x in shapes[: None if dtype == "float32" else 1]:
        yield Case(f"{name}-{dtype}", "l2_loss", (of(x),))
    x = -np.abs(d["x"])
    x[0] *= -1
    t = np.asarray([[0, 1, 0.5], [3, 7, 4], [2, 1.5, 12], [5, 40, 1]])
    inside = np.maximum(t, 0.25)
    for full in (False, True):
        options = {"compute_full_loss": full}
        args = of(inside if full else t), of(x)
        yield Case(f"{full}-{dtype}", "log_poisson_loss", args, options, wrt=(0, 1))
        yield Case(f"zeros-{full}-{dtype}", "log_poisson_loss", (of(t), args[1]), options, wrt=(1,))
    args = of([2, 0, 1]), of([-20, -30, 10])
    yield Case(f"far-{dtype}", "log_poisson_loss", args, wrt=(0, 1))
    negative = of([-1, 2]), of([0.5, 0.5])
    if dtype != "bfloat16":  # whose NaN NumPy does not compare
        yield Case(
            f"negative-{dtype}", "log_poisson_loss", negative, {"compute_full_loss": True}, ()
        )


def _errors(d: dict[str, Array]) -> Iterator[Case]:
    x, y = array(d["x"], "float32"), d["index"]
    t, whole, wide = x * 0 + 1, np.ones((4, 3), np.int32), array(d["soft"], "float64")
    w2 = np.ones(2, np.float32)
    wrong: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = (
        (SIGMOID, (t[:1], x), {}),
        (SIGMOID, (t[0], x), {}),
        (SIGMOID, (wide, x), {}),
        (SIGMOID, (whole, x), {}),
        (SIGMOID, (whole, whole), {}),
        (SIGMOID, (None, x), {}),
        (SIGMOID, (t,), {}),
        (WEIGHTED, (t, x, w2), {}),
        (WEIGHTED, (t, x, None), {}),
        (WEIGHTED, (t[:1], x, 2.0), {}),
        (WEIGHTED, (wide, x, 2.0), {}),
        *((SOFTMAX, (t, x), {"axis": axis}) for axis in (-2, 2, -3)),
        (SOFTMAX, (t[:, :2], x), {}),
        (SOFTMAX, (t[:2], x), {}),
        (SOFTMAX, (t, x[:1]), {}),
        (SOFTMAX, (t, x[0]), {}),
        (SOFTMAX, (t[0, 0], x), {}),
        (SOFTMAX, (t[0, 0], x[0, 0]), {}),
        (SOFTMAX, (t[None], x[None].repeat(2, 0)), {}),
        (SOFTMAX, (t[0], x), {"axis": 0}),
        (SOFTMAX, (t, whole), {}),
        (SOFTMAX, (None, x), {}),
        *((SPARSE, (y.astype(kind), x), {}) for kind in ("int8", "uint8", "float32", "bool")),
        (SPARSE, (y + 2, x), {}),
        (SPARSE, (y - 3, x), {}),
        (SPARSE, (y[:, None], x), {}),
        (SPARSE, (y[:2], x), {}),
        (SPARSE, (y[0], x[0, 0]), {}),
        (SPARSE, (y, x[:, :0]), {}),
        (SPARSE, (y, whole), {}),
        (SPARSE, (None, x), {}),
        ("l2_loss", (whole,), {}),
        ("l2_loss", (None,), {}),
        ("log_poisson_loss", (t[:1], x), {}),
        ("log_poisson_loss", (whole, x), {}),
        ("log_poisson_loss", (whole, whole), {}),
        ("log_poisson_loss", (None, x), {}),
        (V1 + "sparse_softmax_cross_entropy", (y, x, np.ones((4, 2), np.float32)), {}),
        (V1 + "sparse_softmax_cross_entropy", (y, x, w2), {}),
        (V1 + "sparse_softmax_cross_entropy", (y + 2, x), {}),
        (V1 + "sparse_softmax_cross_entropy", (y.astype(np.int8), x), {}),
        (V1 + "sparse_softmax_cross_entropy", (y, x, None), {}),
        (V1 + "softmax_cross_entropy", (t, x, w2), {}),
        (V1 + "softmax_cross_entropy", (t, whole), {}),
    )
    for i, (name, args, options) in enumerate(wrong):
        yield Case(f"wrong-{i}", name, args, options, ())
    for name in ("softmax_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"):
        for i, given in enumerate(
            ((t[:1], x), (t[0], x), (None, x), (t, None), (t, x, None), (t, x, t[None]))
        ):
            yield Case(f"wrong-{i}", V1 + name, given, {}, ())
        yield Case("reduction", V1 + name, (t, x), {"reduction": "mean"}, ())
    yield Case("weights-of-rank-1", V1 + "huber_loss", (t, x, t[0]), {}, ())


def _cases() -> Iterator[Case]:
    for i, dtype in enumerate(DTYPES):
        d = data(i)
        for family in (_sigmoids, _softmaxes, _others, v1.cases):
            yield from family(d, dtype)
    d = data(7)
    for rest in (_broadcast, v1.squeezed, _errors):
        yield from rest(d)


def _arrays(case: Case) -> Case:
    """A row of a vector is a number of NumPy, which belongs to no framework."""
    args = tuple(np.asarray(x) if isinstance(x, np.generic) else x for x in case.args)
    return replace(case, args=args)


CASES: list[Case] = [_arrays(case) for case in _cases()]


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    import tensorflow as tf

    nn, losses = tf.nn, tf.compat.v1.losses
    found = {
        name: getattr(losses if name.startswith(V1) else nn, name.removeprefix(V1))
        for name in FUNCTIONS
    }
    return {**found, V1 + "Reduction": losses.Reduction}


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case; its own error for wrong arguments is no builtin."""
    import tensorflow as tf

    def tensor(x: Any) -> Any:
        return tf.constant(x) if isinstance(x, np.ndarray) else x

    args = [tensor(x) for x in case.args]
    options = {name: tensor(x) for name, x in case.options.items()}
    wrt = [args[i] for i in case.wrt]
    try:
        with tf.GradientTape() as tape:
            tape.watch(wrt)
            value = ORIGINALS()[case.function](*args, **options)
        zero = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(value, wrt, unconnected_gradients=zero)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(str(error)) from None
    return value.numpy(), tuple(g.numpy() for g in gradients)


def truth(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """The same, in more digits."""
    value, gradients = FUNCTIONS[case.function](*case.args, **case.options)
    return value, tuple(gradients[i] for i in case.wrt)
