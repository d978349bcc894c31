"""Calls of xentropy.dialects.tensorflow.v1.losses, and the data of all calls of TensorFlow's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Array, Case, array
from tests.dialects.tensorflow_truth import NONZERO

__all__ = ["V1", "cases", "data", "squeezed"]

V1 = "v1.losses."
REDUCTIONS = (
    "none",
    "weighted_sum",
    "weighted_mean",
    "weighted_sum_over_batch_size",
    NONZERO,
)


def _far(r: np.random.Generator, *shape: int) -> Array:
    """Logits of which no gradient cancels: what cancels is as far from the truth as it happens."""
    return r.choice([-1.0, 1.0], shape) * r.uniform(1.5, 4, shape)


def _opposed(x: Array) -> Array:
    """Labels that contradict the logits."""
    e = np.exp(-x)
    found: Array = e / e.sum(axis=-1, keepdims=True)
    return found


def data(seed: int) -> dict[str, Array]:
    r = np.random.default_rng(seed)
    x, x3 = _far(r, 4, 3), _far(r, 2, 3, 4)
    x[:, 0], x[:, 1], x3[..., 0], x3[..., 1] = abs(x[:, 0]), -abs(x[:, 1]), 3, -2
    return {
        "x": x,
        "x3": x3,
        "hard": r.integers(0, 2, (4, 3)).astype(float),
        "unit": r.uniform(0.05, 0.95, (4, 3)),
        "unit3": r.uniform(0, 1, (2, 3, 4)),
        "soft": _opposed(x),
        "soft3": _opposed(x3),
        "index": r.integers(0, 3, 4),
        "index3": r.integers(0, 4, (2, 3)),
        "w": np.asarray([0.5, 0.0, 2.0, 1.25]),
        "w2": r.uniform(0.5, 2, (4, 3)) * r.integers(0, 2, (4, 3)),
    }


def cases(d: dict[str, Array], dtype: str) -> Iterator[Case]:
    def of(x: Any) -> Array:
        return array(x, dtype)

    x, hard, unit = of(d["x"]), of(d["hard"]), of(d["unit"])
    one_hot, soft = of(np.eye(3)[d["index"]]), of(d["soft"])
    calls: tuple[tuple[str, tuple[Array, ...], Array], ...] = (
        ("softmax_cross_entropy", (one_hot, x), d["w"]),
        ("sparse_softmax_cross_entropy", (d["index"], x), d["w"]),
        ("sigmoid_cross_entropy", (hard, x), d["w2"]),
        ("mean_squared_error", (unit, x), d["w2"]),
        ("absolute_difference", (unit, x), d["w2"]),
        ("huber_loss", (unit, x), d["w2"]),
        ("log_loss", (hard, unit), d["w2"]),
    )
    mean, single = {"reduction": "weighted_mean"}, dtype == "float32"
    for name, args, w in calls:
        wrt = (1, 2) if name.startswith("sparse") else (0, 1, 2)
        weights = array(w, "float32")
        yield Case(f"weights-{dtype}", V1 + name, (*args, weights), {}, wrt)
        if dtype in ("float32", "float64"):
            yield Case(f"mean-{dtype}", V1 + name, (*args, weights), mean, wrt[:-1])
        if single:
            for half in ("float16", "bfloat16"):
                yield Case(f"{half}-weights", V1 + name, (*args, array(w, half)), {}, wrt[:-1])
            yield Case("unweighted", V1 + name, args, {}, wrt[:-1])
            yield Case("empty", V1 + name, tuple(a[:0] for a in (*args, weights)), {}, wrt)
        if single and name in ("softmax_cross_entropy", "mean_squared_error"):
            yield from _reduced(V1 + name, args, weights)
    apart = of([1, 2, 3, 4]), of([1.25, 2.125, 8, -2])  # losses far from their mean
    weighted = (*apart, array([1, 2, 0, 1], "float32"))
    yield Case(f"mean-by-weights-{dtype}", V1 + "mean_squared_error", weighted, mean, (2,))
    name = V1 + "softmax_cross_entropy"
    for s in (0.1, -0.5) if single else (0.1,):
        yield Case(f"smooth-{s}-{dtype}", name, (soft, x, 1.0, s), {}, (0, 1))
        sigmoid = V1 + "sigmoid_cross_entropy"
        yield Case(f"smooth-{s}-{dtype}", sigmoid, (unit, x, 1.0, s), {}, (0, 1))
    yield Case(f"sums-to-2-{dtype}", name, (2 * one_hot, x, 1.0, 0.25), {}, (0, 1))
    if not single:
        return
    for delta in (0.25, 3.0):
        yield Case(f"delta-{delta}-{dtype}", V1 + "huber_loss", (unit, x, 1.0, delta), {}, (0, 1))
    tie = of([0, 0, 0, 0]), of([1, -1, 0, 0.5])
    yield Case(f"kinks-{dtype}", V1 + "huber_loss", tie, {"reduction": "none"}, (0, 1))
    yield Case(f"kinks-{dtype}", V1 + "absolute_difference", tie, {"reduction": "none"}, (0, 1))
    ends = of([0, 1, 0, 1, 0.5]), of([0, 1, 1, 0, 0])
    for epsilon in (1e-7, 0.01):
        clipped = (*ends, 1.0, epsilon)
        yield Case(f"ends-{epsilon}-{dtype}", V1 + "log_loss", clipped, {"reduction": "none"}, (1,))


def _reduced(name: str, args: tuple[Array, ...], weights: Array) -> Iterator[Case]:
    """Every reduction with weights of every shape."""
    one = weights[:1] if weights.ndim == 1 else weights[:, :1]
    signs = np.ones(weights.shape, np.float32)
    signs[::2] = -1
    for how in REDUCTIONS:
        options, wrt = {"reduction": how}, (0, 1) if how == "weighted_mean" else (0, 1, 2)
        for of, w in (
            ("array", weights),
            ("zeros", 0 * weights),
            ("one", one),
            ("0d", np.asarray(1.5, np.float32)),
            ("signs", signs),
        ):
            yield Case(f"{how}-by-{of}", name, (*args, w), options, wrt)
        for number in (1.0, 2.5, 0.0):
            yield Case(f"{how}-by-{number}", name, (*args, number), options, (0, 1))
        empty = tuple(a[:0] for a in (*args, weights))
        yield Case(f"{how}-empty", name, empty, options, (0, 1, 2))
    ints = np.ceil(weights).astype(np.int32)
    yield Case("by-int", name, (*args, ints), {"reduction": "weighted_mean"}, (0, 1))


def squeezed(d: dict[str, Array]) -> Iterator[Case]:
    name, x, y = V1 + "sparse_softmax_cross_entropy", array(d["x"], "float32"), d["index"]
    w = array(d["w"], "float32")
    yield Case("labels-of-rank-2", name, (y[:, None], x, w), {}, (1, 2))
    yield Case("weights-of-rank-2", name, (y[:, None], x, w[:, None]), {}, (1, 2))
    yield Case("logits-of-rank-3", name, (y, x[..., None], w), {}, (1, 2))
    yield Case("scalar", name, (y[0], x[0], w[:1]), {}, (1, 2))
    ints = np.asarray([1, 2, 3]), np.asarray([1, 3, 5]), np.asarray([0, 1, 0.25], np.float32)
    yield Case("integers", V1 + "mean_squared_error", ints, {}, (2,))
    yield Case("bools", V1 + "mean_squared_error", (y > 0, y > 1), {}, ())
    yield Case("scalar", V1 + "mean_squared_error", (x[0, 0], x[1, 0], 2.0), {}, (0, 1))
