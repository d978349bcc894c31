"""Calls of the dialect keras and their originals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Array, Case, array
from tests.dialects.keras_original import ORIGINALS, original
from tests.dialects.keras_truth import CLASSES, truth

__all__ = ["CASES", "ORIGINALS", "VERSION", "original", "takes", "targets", "truth"]

VERSION = "3.15.1"
DTYPES = ("float16", "bfloat16", "float32", "float64")
SHAPES = ((4, 3), (2, 3, 4))
INDEX = tuple(CLASSES)[12:]


def _probabilities(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    x: Array = r.uniform(0.05, 0.95, shape)
    shares: Array = x / x.sum(-1, keepdims=True)
    return shares


def targets(r: np.random.Generator, shape: tuple[int, ...], dtype: str) -> dict[str, Array]:
    """What each kind of loss takes as labels."""
    k = r.integers(0, shape[-1], shape[:-1])
    return {
        "index": k,
        "one-hot": array(np.eye(shape[-1])[k], dtype),
        "shares": array(_probabilities(r, shape), dtype),
        "binary": array(r.integers(0, 2, shape), dtype),
        "values": array(3 * r.normal(size=shape), dtype),
        "counts": array(r.integers(0, 6, shape), dtype),
        "rates": array(r.uniform(0.2, 8.0, shape), dtype),
    }


def takes(function: str) -> tuple[str, str]:
    """Which labels and which predictions a loss takes."""
    if function in INDEX:
        return "index", "probabilities"
    if function.startswith("categorical"):
        return "one-hot", "probabilities"
    if function.startswith("binary"):
        return "binary", "chances"
    if function == "kl_divergence":
        return "shares", "probabilities"
    if function in ("poisson", "mean_squared_logarithmic_error"):
        return "counts", "rates"
    if function == "mean_absolute_percentage_error":
        return "rates", "values"
    return "values", "values"


def _predictions(r: np.random.Generator, shape: tuple[int, ...], dtype: str) -> dict[str, Array]:
    return {
        "probabilities": array(_probabilities(r, shape), dtype),
        "chances": array(r.uniform(0.05, 0.95, shape), dtype),
        "values": array(2 * r.normal(size=shape), dtype),
        "logits": array(3 * r.normal(size=shape), dtype),
        "rates": array(r.uniform(0.2, 8.0, shape), dtype),
    }


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "huber": [{"delta": 0.5}, {"delta": 3.0}],
    "binary_crossentropy": [
        {"label_smoothing": 0.2},
        {"axis": 0},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1, "axis": 1},
        {"axis": None},
        {"axis": None, "from_logits": True},
    ],
    "categorical_crossentropy": [
        {"label_smoothing": 0.2},
        {"axis": 1},
        {"from_logits": True},
        {"from_logits": True, "label_smoothing": 0.1},
    ],
    "binary_focal_crossentropy": [
        {"apply_class_balancing": True},
        {"gamma": 0.5, "label_smoothing": 0.2},
        {"gamma": 0.0, "axis": 0},
        {"gamma": 0.5, "axis": None},
        {"from_logits": True},
        {"from_logits": True, "apply_class_balancing": True, "alpha": 0.7, "gamma": 1.0},
    ],
    "categorical_focal_crossentropy": [
        {"label_smoothing": 0.2},
        {"gamma": 0.5, "alpha": 1.0},
        {"gamma": 0.0, "axis": 1},
        {"from_logits": True},
        {"from_logits": True, "gamma": 1.0, "label_smoothing": 0.1},
    ],
    "sparse_categorical_crossentropy": [
        {"from_logits": True},
        {"ignore_class": 1},
        {"from_logits": True, "ignore_class": 0},
    ],
}


def _functions() -> Iterator[Case]:
    r = np.random.default_rng(25)
    for function in CLASSES:
        labels, predictions = takes(function)
        last: dict[str, Any] = {"q": 0.5} if function.endswith("cross_entropy") else {}
        for i, dtype in enumerate(DTYPES):
            shape = SHAPES[i % 2]
            t, x = targets(r, shape, dtype), _predictions(r, shape, dtype)
            name = f"{dtype} of {len(shape)} axes"
            yield Case(name, function, (t[labels], x[predictions]), last, (1,))
        for i, options in enumerate(OPTIONS.get(function, [])):
            for dtype in ("float32", DTYPES[i % 2]) if i < 2 else (DTYPES[2 + i % 2],):
                t, x = targets(r, SHAPES[0], dtype), _predictions(r, SHAPES[0], dtype)
                given = x["logits" if "from_logits" in options else predictions]
                shown = " ".join(f"{k}={v}" for k, v in options.items())
                yield Case(f"{dtype} {shown}", function, (t[labels], given), options, (1,))
    t, x = targets(r, SHAPES[0], "float32"), _predictions(r, SHAPES[0], "float32")
    alpha = {"alpha": [0.2, 0.3, 0.5]}
    args = t["one-hot"], x["probabilities"]
    yield Case("alpha of each class", "categorical_focal_crossentropy", args, alpha, (1,))
    args = t["one-hot"], x["logits"]
    options = {**alpha, "from_logits": True}
    yield Case("alpha of each class, logits", "categorical_focal_crossentropy", args, options, (1,))
    # Far from the minimum, where the terms of the gradient cancel.
    far = array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.05, 0.05, 0.9]], "float32")
    soft = far, array([[0.1, 0.5, 0.4], [0.5, 0.1, 0.2], [0.4, 0.3, 0.3]], "float32")
    for name in ("categorical_crossentropy", "binary_crossentropy", "kl_divergence"):
        yield Case("soft labels", name, soft, {}, (1,))
    for q in (0.1, 0.9):
        args = t["index"], x["probabilities"]
        yield Case(f"q={q}", "categorical_generalized_cross_entropy", args, {"q": q}, (1,))


def _labels() -> Iterator[Case]:
    """Labels of other dtypes and shapes."""
    r = np.random.default_rng(5)
    t, x = targets(r, SHAPES[0], "float32"), _predictions(r, SHAPES[0], "float32")
    k = t["index"]
    for dtype in ("uint8", "int32", "float32"):
        args = k.astype(dtype), x["probabilities"]
        for function, options in zip(INDEX, ({}, {"q": 0.5}), strict=True):
            yield Case(f"labels {dtype}", function, args, options, (1,))
    args = k[:, None], x["probabilities"]
    yield Case("labels (N, 1)", "sparse_categorical_crossentropy", args, {}, (1,))
    yield Case("labels ()", "sparse_categorical_crossentropy", (k[0], x["logits"][0]), {}, (1,))
    for dtype in ("bool", "int32", "uint8"):
        args = t["binary"].astype(dtype), x["chances"]
        yield Case(f"labels {dtype}", "binary_crossentropy", args, {}, (1,))
        args = t["one-hot"].astype(dtype), x["probabilities"]
        yield Case(f"labels {dtype}", "categorical_crossentropy", args, {}, (1,))
    for function in ("mean_squared_error", "log_cosh"):
        x32 = x["values"]
        halves = array(t["values"], "float16"), array(x32[0], "float16")
        yield Case("(N, C) and (C,) float16", function, halves, {}, (1,))
        for name, args in {
            "(N, 1) and (N,)": (t["values"][:, :1], x32[:, 0]),
            "(N,) and (N, 1)": (t["values"][:, 0], x32[:, :1]),
            "(N, C) and (N, C, 1)": (t["values"], x32[..., None]),
            "(C,) and (N, C)": (t["values"][0], x32),
            "(N, C) and (C,)": (t["values"], x32[0]),
            "(N, 1) and (N, C)": (t["values"][:, :1], x32),
            "one row": (t["values"][0], x32[0]),
        }.items():
            yield Case(name, function, args, {}, (1,))
    args = t["one-hot"][:1] > 0, x["probabilities"]
    yield Case("bool and one row", "categorical_focal_crossentropy", args, {}, (1,))
    alpha = [0.25, 0.5, 0.75]
    for given, dtype in ((alpha, "float16"), (array(alpha, "float32"), "bfloat16")):
        args = array(t["one-hot"], dtype), array(x["probabilities"], dtype)
        by = {"alpha": given}
        yield Case(f"wider alpha {dtype}", "categorical_focal_crossentropy", args, by, (1,))
    by = {"alpha": array(alpha, "float64")}
    args = t["one-hot"], x["probabilities"]
    yield Case("wider alpha float32", "categorical_focal_crossentropy", args, by, (1,))
    rates = t["rates"][0], x["rates"]
    yield Case("(C,) and (N, C)", "poisson", rates, {}, (1,))
    args = t["shares"][0], x["probabilities"]
    yield Case("(C,) and (N, C)", "kl_divergence", args, {}, (1,))


def _extremes() -> Iterator[Case]:
    far = np.array([[1e4, -1e4, 0.0], [40.0, 0.0, -40.0], [5.0, 5.0, 5.0], [-1e4, 0.0, 1e-3]])
    hot = np.eye(3)[[0, 2, 1, 1]]
    sure = np.array([[1.0, 0.0, 0.0], [1e-9, 0.5, 0.5], [0.999999, 5e-7, 5e-7], [0.0, 1.0, 0.0]])
    for dtype in ("float32", "float64"):
        again = dtype == "float64"
        x, t, p = array(far, dtype), array(hot, dtype), array(sure, dtype)
        k = np.array([0, 2, 1, 1])
        for function in ("categorical_crossentropy", "binary_crossentropy"):
            yield Case(f"far {dtype}", function, (t, x), {"from_logits": True}, (1,))
            yield Case(f"sure {dtype}", function, (t, p), {}, (1,))
        options = {"from_logits": True}
        yield Case(f"far {dtype}", "sparse_categorical_crossentropy", (k, x), options, (1,))
        yield Case(f"sure {dtype}", "sparse_categorical_crossentropy", (k, p), {}, (1,))
        yield Case(f"far {dtype}", "binary_focal_crossentropy", (t, x / 100), options, (1,))
        yield Case(f"sure {dtype}", "binary_focal_crossentropy", (t, p), {}, (1,))
        yield Case(f"sure {dtype}", "categorical_focal_crossentropy", (t, p), {}, (1,))
        yield Case(f"sure {dtype}", "kl_divergence", (t, p), {}, (1,))
        yield Case(f"sure {dtype}", "poisson", (t, p), {}, (1,))
        for function in ("mean_squared_error", "huber", "log_cosh")[2 * again :]:
            yield Case(f"far {dtype}", function, (t, x), {}, (1,))
        positive = np.abs(x)
        yield Case(f"far {dtype}", "mean_squared_logarithmic_error", (t, positive), {}, (1,))
        yield Case(f"below 0 {dtype}", "mean_squared_logarithmic_error", (t, x), {}, (1,))
        yield Case(f"zeros {dtype}", "mean_absolute_percentage_error", (t, x), {}, (1,))
        one = "probabilities that do not sum to 1"
        wide = array([[1.0, 2.0, 1.0], [0.2, 0.2, 0.2], [0.0, 0.3, 0.6], [0.5, 0.9, 0.9]], dtype)
        yield Case(f"{one} {dtype}", "categorical_crossentropy", (t, wide), {}, (1,))
        yield Case(f"{one} {dtype}", "sparse_categorical_crossentropy", (k, wide), {}, (1,))
        yield Case(f"{one} {dtype}", "categorical_focal_crossentropy", (t, wide), {}, (1,))
        row = p.copy()
        row[1, 2] = np.nan
        yield Case(f"NaN {dtype}", "categorical_crossentropy", (t, row), {}, (1,))
        yield Case(f"NaN {dtype}", "mean_squared_error", (t, row), {}, (1,))
    yield from _empty()


def _empty() -> Iterator[Case]:
    empty = np.zeros((0, 3), np.float32)
    for function in CLASSES:
        options = {"q": 0.5} if function.endswith("cross_entropy") else {}
        labels = np.zeros(0, np.int64) if function in INDEX else empty
        if function[0] in "bcs":
            yield Case("no rows", function, (labels, empty), options, (1,))
        yield Case("no rows", CLASSES[function], (labels, empty), {}, (1,), {})
    nothing = np.zeros(0, np.float32)
    yield Case("nothing", "mean_squared_error", (nothing, nothing), {}, (1,))


REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def _classes() -> Iterator[Case]:
    r = np.random.default_rng(12)
    for function, name in CLASSES.items():
        labels, predictions = takes(function)
        for i, dtype in enumerate(DTYPES):
            shape = SHAPES[1 - i % 2]
            t, x = targets(r, shape, dtype), _predictions(r, shape, dtype)
            how = {"reduction": REDUCTIONS[i]}
            # Of float64 the gradient is float64 too, of digits that are float32.
            wrt = () if dtype == "float64" else (1,)
            if dtype not in ("float16", "bfloat16"):
                yield Case(dtype, name, (t[labels], x[predictions]), how, wrt, {})
            if dtype == DTYPES[len(function) % 2] or dtype == "float64":
                same = {**how, "dtype": dtype}
                yield Case(f"{dtype} kept", name, (t[labels], x[predictions]), same, (1,), {})
        for options in OPTIONS.get(function, [])[:1]:
            t, x = targets(r, SHAPES[1], "float32"), _predictions(r, SHAPES[1], "float32")
            given = x["logits" if "from_logits" in options else predictions]
            shown = " ".join(f"{k}={v}" for k, v in options.items())
            if options.get("label_smoothing") and "axis" in options and function[0] == "c":
                continue
            yield Case(shown, name, (t[labels], given), options, (1,), {})


def _reductions() -> Iterator[Case]:
    """Every reduction with weights of each shape."""
    r = np.random.default_rng(12)
    call: dict[str, Any]
    options: dict[str, Any]
    shape: tuple[int, ...]
    for name in ("MeanSquaredError", "SparseCategoricalCrossentropy"):
        sparse = name[0] == "S"
        t, x = targets(r, SHAPES[0], "float32"), _predictions(r, SHAPES[0], "float32")
        args = (t["index"], x["probabilities"]) if sparse else (t["values"], x["values"])
        for how in REDUCTIONS:
            shapes: tuple[tuple[int, ...], ...] = ((4,), (4, 1), ())
            for shape in shapes[: 3 if how in ("mean", "none") else 1]:
                call = {"sample_weight": array(r.uniform(0.0, 2.0, shape), "float32")}
                yield Case(f"{how} weights {shape}", name, args, {"reduction": how}, (1,), call)
                if sparse:
                    options = {"reduction": how, "ignore_class": int(t["index"][1])}
                    yield Case(f"{how} left out {shape}", name, args, options, (1,), call)
            call = {"sample_weight": array([1.5, -1.0, 0.5, -1.0], "float32")}
            yield Case(f"{how} weights that cancel", name, args, {"reduction": how}, (1,), call)
            call = {"sample_weight": np.zeros(4, np.float32)}
            yield Case(f"{how} weights 0", name, args, {"reduction": how}, (1,), call)
            if sparse:
                options = {"reduction": how, "ignore_class": 2}
                none = np.full(4, 2), args[1]
                yield Case(f"{how} all left out", name, none, options, (1,), {})
        deep = targets(r, SHAPES[1], "float32"), _predictions(r, SHAPES[1], "float32")
        args = deep[0]["values"], deep[1]["values"]
        if sparse:
            args = deep[0]["index"], deep[1]["probabilities"]
        for shape in ((2, 3), (2, 1), (3,), (2, 3, 1)):
            call = {"sample_weight": array(r.uniform(0.0, 2.0, shape), "float32")}
            for how in REDUCTIONS[1:3]:
                yield Case(f"deep {how} {shape}", name, args, {"reduction": how}, (1,), call)
    nan = np.array([[np.nan], [1.0]], np.float32)
    call = {"sample_weight": np.zeros(2, np.float32)}
    options = {"reduction": "mean_with_sample_weight"}
    yield Case("NaN of weight 0", "MeanSquaredError", (0 * nan[::-1], nan), options, (), call)
    nothing = np.zeros(0, np.float32)
    one = array(r.normal(size=3), "float32")
    for how in REDUCTIONS:
        options = {"reduction": how}
        yield Case(f"{how} one row", "MeanSquaredError", (one, one[::-1].copy()), options, (1,), {})
        args = nothing[:, None], nothing[:, None]
        yield Case(f"{how} no values", "MeanAbsoluteError", args, options, (1,), {})
    options = {"axis": 0, "label_smoothing": 0.2}
    t, x = targets(r, SHAPES[0], "float32"), _predictions(r, SHAPES[0], "float32")
    yield Case("axis 0", "BinaryCrossentropy", (t["binary"], x["chances"]), options, (1,), {})
    args = t["binary"][:, 0], x["chances"][:, :1]
    yield Case("(N,) and (N, 1)", "BinaryCrossentropy", args, {}, (1,), {})
    args = t["index"][:, None], x["probabilities"]
    yield Case("labels (N, 1)", "SparseCategoricalCrossentropy", args, {}, (1,), {})


def _errors() -> Iterator[Case]:
    x, t = np.zeros((4, 3), np.float32), np.zeros((4, 3), np.float32)
    k = np.zeros(4, np.int64)
    for name in ("binary_crossentropy", "categorical_crossentropy", "binary_focal_crossentropy"):
        yield Case("labels of another shape", name, (t[:, :2], x), {}, (1,))
        yield Case("labels of another rank", name, (t[0], x), {}, (1,))
    for name in ("mean_squared_error", "poisson", "kl_divergence", "huber"):
        yield Case("shapes that do not broadcast", name, (t[:3], x), {}, (1,))
    for name in ("categorical_crossentropy", "categorical_focal_crossentropy"):
        yield Case("axis True", name, (t, x), {"axis": True}, (1,))
    sparse = "sparse_categorical_crossentropy"
    yield Case("too many labels", sparse, (np.zeros(5, np.int64), x), {}, (1,))
    yield Case("labels of another rank", sparse, (np.zeros((4, 2), np.int64), x), {}, (1,))
    for label in (3, -1, -100):
        for logits in (True, False):
            name = f"label {label} logits {logits}"
            yield Case(name, sparse, (k + label, x + 0.3), {"from_logits": logits}, (1,))
    for name in CLASSES.values():
        labels = k if name[0] == "S" or "Gen" in name else t
        yield Case("reduction", name, (labels, x), {"reduction": "avg"}, (1,), {})
    for q in (0, 1.0, -0.5):
        name = "CategoricalGeneralizedCrossEntropy"
        yield Case(f"q={q}", name, (k, x), {"q": q}, (1,), {})
    weights = {"sample_weight": np.ones((4, 3), np.float32)}
    yield Case("weights of values", "MeanSquaredError", (t, x), {}, (1,), weights)
    yield Case("dtype", "MeanSquaredError", (t, x), {"dtype": "float31"}, (1,), {})


CASES = [
    case
    for some in (_functions, _labels, _extremes, _classes, _reductions, _errors)
    for case in some()
]
