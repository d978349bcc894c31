"""Calls of the oracle as data, what it must say at the extremes, and numbers as mpf."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentropy.parity.oracle import mp

__all__ = [
    "BITS",
    "CALLS",
    "EACH",
    "EXTREMES",
    "INDEX",
    "INF",
    "KEPT",
    "LOGITS",
    "NAN",
    "ONE_HOT",
    "PROBS",
    "ROWS",
    "SHARES",
    "SOFTMAX",
    "SOME",
    "WEIGHTS",
    "Array",
    "exact",
    "floats",
    "step",
]

Array: TypeAlias = npt.NDArray[Any]

INF, NAN = np.inf, np.nan
ROWS, CLASSES = 3, 4
_RNG = np.random.default_rng(20)
LOGITS = _RNG.normal(size=(ROWS, CLASSES)) * 2
PROBS = _RNG.uniform(0.05, 0.95, (ROWS, CLASSES))
SHARES = _RNG.dirichlet(np.ones(CLASSES), ROWS)
BITS = np.arange(ROWS * CLASSES).reshape(ROWS, CLASSES) % 3 == 1
INDEX = np.array([2, 0, 3])
ONE_HOT = np.eye(CLASSES)[INDEX]
WEIGHTS = _RNG.uniform(0.5, 2.0, CLASSES)
EACH = np.array([0.5, 2.0, 1.25])
KEPT = np.array([True, True, False, True])
SOME = np.array([True, False, True])

SOFTMAX: dict[str, Any] = {
    "class_weight": WEIGHTS,
    "label_smoothing": 0.25,
    "z_loss": 0.01,
    "sample_weight": EACH,
    "where": SOME,
}
GRID = EACH[:, None] * np.ones(CLASSES)
DENSE_WRT = ("logits", "labels")
SOFTMAX_WRT = (*DENSE_WRT, "class_weight", "sample_weight")
CALLS: dict[str, tuple[str, Array, Array | None, dict[str, Any], tuple[str, ...]]] = {
    "index": ("cross_entropy", LOGITS, INDEX, {}, ("logits",)),
    "index all options": (
        "sparse_softmax_cross_entropy",
        LOGITS,
        INDEX,
        SOFTMAX | {"class_mask": np.array([True, False, True, True]), "ignore_index": 3},
        ("logits", "class_weight", "sample_weight"),
    ),
    "dense": ("cross_entropy", LOGITS, SHARES, {}, DENSE_WRT),
    "dense all options": ("softmax_cross_entropy", LOGITS, SHARES, SOFTMAX, SOFTMAX_WRT),
    "dense on axis 0": (
        "softmax_cross_entropy",
        LOGITS,
        SHARES,
        {"class_weight": EACH, "axis": 0, "sample_weight": WEIGHTS},
        SOFTMAX_WRT,
    ),
    "broadcast": (
        "softmax_cross_entropy",
        LOGITS,
        SHARES[:1],
        {"class_weight": np.array(1.5), "sample_weight": np.array([2.0])},
        SOFTMAX_WRT,
    ),
    "sigmoid": (
        "sigmoid_cross_entropy",
        LOGITS,
        SHARES,
        {"pos_weight": WEIGHTS, "label_smoothing": 0.25, "sample_weight": GRID},
        ("logits", "labels", "pos_weight", "sample_weight"),
    ),
    "sigmoid weighted": (
        "weighted_sigmoid_cross_entropy",
        LOGITS,
        BITS,
        {"pos_weight": 3.0},
        ("logits", "pos_weight"),
    ),
    "sigmoid hard": ("sigmoid_cross_entropy", LOGITS, BITS, {}, DENSE_WRT),
    "binary": (
        "binary_cross_entropy",
        PROBS,
        SHARES,
        {"label_smoothing": 0.25, "where": BITS},
        ("probs", "labels"),
    ),
    "categorical": (
        "categorical_cross_entropy",
        PROBS,
        SHARES,
        {"class_weight": WEIGHTS, "label_smoothing": 0.25},
        ("probs", "labels", "class_weight"),
    ),
    "categorical index": (
        "sparse_categorical_cross_entropy",
        PROBS,
        INDEX,
        {"class_weight": WEIGHTS, "ignore_index": 2},
        ("probs", "class_weight"),
    ),
    "sigmoid focal": (
        "sigmoid_focal_cross_entropy",
        LOGITS,
        SHARES,
        {"alpha": 0.25, "gamma": 1.5, "label_smoothing": 0.25},
        ("logits", "labels", "alpha"),
    ),
    "sigmoid focal hard": ("sigmoid_focal_cross_entropy", LOGITS, BITS, {}, DENSE_WRT),
    "softmax focal": (
        "softmax_focal_cross_entropy",
        LOGITS,
        SHARES,
        {"alpha": WEIGHTS, "gamma": 1.5, "sample_weight": EACH},
        ("logits", "labels", "alpha", "sample_weight"),
    ),
    "softmax focal index": ("softmax_focal_cross_entropy", LOGITS, INDEX, {}, ("logits",)),
    "poly": ("poly_cross_entropy", LOGITS, SHARES, SOFTMAX | {"epsilon": -0.75}, SOFTMAX_WRT),
    "poly index": ("poly_cross_entropy", LOGITS, INDEX, {"epsilon": 2.0}, ("logits",)),
    "kl": ("kl_divergence", LOGITS, SHARES, {"temperature": 2.5}, DENSE_WRT),
    "squared": ("squared_error", LOGITS, PROBS, {}, ("predictions", "targets")),
    "mean squared": (
        "mean_squared_error",
        LOGITS,
        PROBS,
        {"sample_weight": GRID},
        ("predictions", "sample_weight"),
    ),
    "absolute": ("absolute_error", LOGITS, PROBS, {}, ("predictions", "targets")),
    "mean absolute": ("mean_absolute_error", LOGITS, PROBS[:, :1], {}, ("targets",)),
    "log cosh": ("log_cosh", LOGITS, PROBS, {}, ("predictions", "targets")),
    "huber": ("huber", LOGITS, PROBS, {"delta": 0.75}, ("predictions", "targets")),
    "smooth l1": ("smooth_l1", LOGITS, PROBS, {"beta": 0.75}, ("predictions", "targets")),
    "smooth l1 at 0": ("smooth_l1", LOGITS, PROBS, {"beta": 0.0}, ("predictions",)),
    "logsumexp": ("logsumexp", LOGITS, None, {"where": KEPT, "keepdims": True}, ("x",)),
    "log softmax": ("log_softmax", LOGITS, None, {"axis": 0}, ("x",)),
    "statistic log_prob": (
        "softmax_statistics.log_prob",
        LOGITS,
        INDEX,
        {"class_mask": np.array([True, False, True, True]), "ignore_index": 3, "scale": 0.5},
        ("logits",),
    ),
    "statistic logsumexp": (
        "softmax_statistics.logsumexp",
        LOGITS,
        None,
        {"axis": 0, "scale": -0.5},
        ("logits",),
    ),
    "statistic entropy": (
        "softmax_statistics.entropy",
        LOGITS,
        None,
        {"class_mask": KEPT, "scale": 0.5},
        ("logits",),
    ),
}

EXTREMES: list[tuple[str, list[float], Any, dict[str, Any], float, list[float]]] = [
    # loss, a row, its label, options, the loss and the gradient of the row
    ("cross_entropy", [0, -INF, 0], 0, {}, float(np.log(2)), [-0.5, 0, 0.5]),
    ("cross_entropy", [0, -INF, 0], [1, 0, 0], {}, float(np.log(2)), [-0.5, 0, 0.5]),
    ("cross_entropy", [0, -INF, 0], 1, {}, INF, [0.5, -1, 0.5]),
    ("cross_entropy", [0, -INF], 0, {"label_smoothing": 0.5}, INF, [0.25, -0.25]),
    (
        "cross_entropy",
        [0, -INF],
        0,
        {"label_smoothing": 0.5, "class_mask": [True, False]},
        0,
        [0, 0],
    ),
    (
        "cross_entropy",
        [0, NAN, 0],
        0,
        {"class_mask": [True, False, True]},
        np.log(2),
        [-0.5, 0, 0.5],
    ),
    ("cross_entropy", [0, NAN, 0], 1, {"class_mask": [True, False, True]}, INF, [0.5, 0, 0.5]),
    ("cross_entropy", [0, 1], 1, {"class_mask": [False, False]}, NAN, [0, 0]),
    ("cross_entropy", [0, -INF], 1, {"class_weight": [1, 0]}, 0, [0, 0]),
    ("cross_entropy", [-INF, -INF], 0, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [INF, 0], 0, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [NAN, 0], 1, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [0, 0], 2, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [0, 0], -1, {}, NAN, [NAN, NAN]),
    ("cross_entropy", [NAN, INF], -1, {"ignore_index": -1}, 0, [0, 0]),
    ("softmax_focal_cross_entropy", [0, -INF], 1, {}, INF, [1, -1]),
    ("softmax_focal_cross_entropy", [0, -INF], 0, {"gamma": 0.5}, 0, [0, 0]),
    ("poly_cross_entropy", [0, -INF], 1, {}, INF, [1, -1]),
    ("kl_divergence", [0, -INF], [1, 0], {}, 0, [0, 0]),
    ("kl_divergence", [0, -INF], [0.5, 0.5], {"temperature": 2}, INF, [1, -1]),
    ("sigmoid_cross_entropy", [INF], [1], {}, 0, [0]),
    ("sigmoid_cross_entropy", [-INF], [0], {}, 0, [0]),
    ("sigmoid_cross_entropy", [INF], [0], {}, INF, [1]),
    ("sigmoid_cross_entropy", [-INF], [1], {"pos_weight": 3}, INF, [-3]),
    ("sigmoid_cross_entropy", [NAN], [1], {"pos_weight": 0}, NAN, [NAN]),
    ("sigmoid_focal_cross_entropy", [INF], [1], {}, 0, [0]),
    ("sigmoid_focal_cross_entropy", [-INF], [1], {"alpha": 0.25}, INF, [-0.25]),
    ("sigmoid_focal_cross_entropy", [INF], [1], {"gamma": 0}, 0, [0]),
    ("binary_cross_entropy", [0], [0], {}, 0, [1]),
    ("binary_cross_entropy", [1], [1], {}, 0, [-1]),
    ("binary_cross_entropy", [0], [1], {}, INF, [-INF]),
    ("binary_cross_entropy", [1], [0], {}, INF, [INF]),
    ("binary_cross_entropy", [NAN], [0], {}, NAN, [NAN]),
    ("categorical_cross_entropy", [0, 1], [0, 1], {}, 0, [0, -1]),
    ("categorical_cross_entropy", [0, 1], [1, 0], {}, INF, [-INF, 0]),
    ("sparse_categorical_cross_entropy", [0, 1], 2, {}, NAN, [NAN, NAN]),
    ("absolute_error", [2], [2], {}, 0, [0]),
    ("huber", [2], [2], {}, 0, [0]),
    ("smooth_l1", [2], [2], {"beta": 0}, 0, [0]),
    ("huber", [-INF], [2], {"delta": 3}, INF, [-3]),
    ("squared_error", [INF], [INF], {}, NAN, [NAN]),
    ("log_cosh", [-INF], [0], {}, INF, [-1]),
    ("logsumexp", [0, NAN], None, {}, NAN, [NAN, NAN]),
    ("logsumexp", [0, NAN], None, {"where": [True, False]}, 0, [1, 0]),
    ("log_softmax", [0, NAN], None, {"where": [False, True]}, NAN, [0, NAN]),
    ("softmax_statistics.log_prob", [0, -INF], 1, {}, -INF, [-1, 1]),
    ("softmax_statistics.log_prob", [0, 0], 2, {}, NAN, [NAN, NAN]),
    ("softmax_statistics.log_prob", [NAN, 0], -1, {"ignore_index": -1}, 0, [0, 0]),
    ("softmax_statistics.logsumexp", [0, INF], None, {}, INF, [NAN, NAN]),
    ("softmax_statistics.entropy", [0, -INF], None, {}, 0, [0, 0]),
    ("softmax_statistics.entropy", [0, NAN], None, {}, NAN, [NAN, NAN]),
]


@np.errstate(all="ignore")
def exact(array: Any) -> Array:
    """Return mpf of float64 or longdouble numbers, all digits kept."""
    m, e = np.frexp(np.atleast_1d(array))
    high = m.astype(np.float64)
    low = np.where(np.isfinite(high), m - np.where(np.isfinite(high), high, 0), 0)
    join = np.frompyfunc(lambda h, lo, k: mp.ldexp(mp.mpf(h) + mp.mpf(lo), int(k)), 3, 1)
    joined = join(high.astype(object), low.astype(np.float64).astype(object), e.astype(object))
    return np.asarray(joined, dtype=object).reshape(np.shape(array))


def floats(array: Array) -> Array:
    return np.asarray(array, dtype=np.float64)


def step(numbers: Array, ulps: int) -> Array:
    """Move floats away from 0 by some steps of their dtype."""
    for _ in range(ulps):
        numbers = np.nextafter(numbers, np.copysign(np.inf, numbers).astype(numbers.dtype))
    return numbers
