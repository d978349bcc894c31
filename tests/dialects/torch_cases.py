"""Calls of the dialect torch, its originals, and the truth."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from tests.dialects import torch_truth
from tests.dialects.case import Array, Case, array

VERSION = "2.13.0"
HOW = ("none", "sum", "mean")
GRID = {
    "float16": ("mean",),
    "bfloat16": ("none",),
    "float32": ("none", "mean"),
    "float64": ("sum",),
}

FUNCTIONS = tuple(sorted(torch_truth.ALL))
CLASSES = {
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "CrossEntropyLoss": "cross_entropy",
    "GaussianNLLLoss": "gaussian_nll_loss",
    "HuberLoss": "huber_loss",
    "KLDivLoss": "kl_div",
    "L1Loss": "l1_loss",
    "LinearCrossEntropyLoss": "linear_cross_entropy",
    "MSELoss": "mse_loss",
    "NLLLoss": "nll_loss",
    "PoissonNLLLoss": "poisson_nll_loss",
    "SmoothL1Loss": "smooth_l1_loss",
    "SoftMarginLoss": "soft_margin_loss",
}


def rng(name: str) -> np.random.Generator:
    return np.random.default_rng(sum(map(ord, name)))


def refused(function: str, *calls: tuple[str, tuple[Any, ...], dict[str, Any]]) -> Iterator[Case]:
    for name, args, options in calls:
        yield Case(f"refused-{name}", function, args, options)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    found: Array = e / e.sum(axis=1, keepdims=True)
    return found


def _cross_entropy() -> Iterator[Case]:
    r = rng("cross_entropy")
    x, deep = 2 * r.normal(size=(5, 3)), 2 * r.normal(size=(2, 3, 4))
    t, far = np.array([0, 2, -100, 1, 2]), r.integers(0, 3, (2, 4))
    p, deep_p = softmax(-x / 2), softmax(-deep)  # far from what the logits say
    w = np.array([0.5, 2.0, 1.25])
    far[0, 1] = -100
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, deep, p, deep_p, w)]
        for how in ways:
            by: dict[str, Any] = {"reduction": how}
            yield Case(f"index-{dtype}-{how}", "cross_entropy", (a[0], t), by)
            yield Case(f"deep-{dtype}-{how}", "cross_entropy", (a[1], far), {"weight": a[4], **by})
            yield Case(f"probs-{dtype}-{how}", "cross_entropy", (a[0], a[2]), by, (0, 1))
            by["label_smoothing"] = 0.25
            yield Case(f"smooth-{dtype}-{how}", "cross_entropy", (a[0], t, a[4]), by)
            args = (a[1], a[3], a[4])
            yield Case(f"deep-probs-{dtype}-{how}", "cross_entropy", args, by, (0, 1, 2))
    x, t, p, w = x.astype("f"), np.array([0, 2, 1, 1, 2]), p.astype("f"), w.astype("f")
    for k in (-1, 1, 2, 7):
        yield Case(
            f"ignored-{k}", "cross_entropy", (x, np.where(t == 1, k, t)), {"ignore_index": k}
        )
    yield Case("uint8", "cross_entropy", (x, t.astype(np.uint8)))
    yield Case("all-ignored", "cross_entropy", (x, t * 0 - 100))
    yield Case("all-ignored-sum", "cross_entropy", (x, t * 0 - 100), {"reduction": "sum"})
    for how in HOW:
        by = {"reduction": how}
        yield Case(f"empty-{how}", "cross_entropy", (x[:0], t[:0]), by)
        yield Case(f"empty-probs-{how}", "cross_entropy", (x[:0], p[:0]), by)
        yield Case(f"single-{how}", "cross_entropy", (x[0], np.array(2)), by)
        yield Case(f"single-ignored-{how}", "cross_entropy", (x[0], np.array(-100)), by)
    yield Case("single-probs", "cross_entropy", (x[0], p[0]))
    yield Case("negative-smoothing", "cross_entropy", (x, t), {"label_smoothing": -0.5})
    yield Case("one-class", "cross_entropy", (x[:, :1], t * 0))
    yield Case("unnormalized", "cross_entropy", (x, 3 * p - 1), {"ignore_index": -1}, (0, 1))
    yield Case("wider-probs", "cross_entropy", (x, p.astype(np.float64)))
    yield Case("half-and-wider-probs", "cross_entropy", (array(x, "float16"), p))
    yield Case("wider-weight", "cross_entropy", (x, p), {"weight": w.astype(np.float64)})
    yield Case("old-sum", "cross_entropy", (x, t), {"size_average": False})
    yield Case("old-none", "cross_entropy", (x, t), {"reduce": False})
    yield Case("old-mean", "cross_entropy", (x, t), {"size_average": True, "reduction": "sum"})
    yield Case("oldest-mean", "cross_entropy", (x, t), {"reduction": "elementwise_mean"})
    for scale in (40, 1e4):
        for how in ("none", "mean"):
            sure, by = scale * np.eye(3, dtype="f")[t], {"reduction": how}
            yield Case(f"confident-{scale}-{how}", "cross_entropy", (sure, t), by)
            yield Case(f"wrong-{scale}-{how}", "cross_entropy", (sure, (t + 1) % 3), by)
    off = np.where((np.arange(3) == 2) & (t[:, None] != 2), -np.inf, x)
    yield Case("minus-infinity", "cross_entropy", (off, t))
    yield Case("minus-infinity-at-target", "cross_entropy", (off, t * 0 + 2), {"reduction": "none"})
    gone = np.where(np.arange(5)[:, None] == 1, -np.inf, x)
    yield Case("no-class", "cross_entropy", (gone, t), {"reduction": "none"})
    yield from refused(
        "cross_entropy",
        ("last-axis", (deep.transpose(0, 2, 1), far), {}),
        ("beyond", (x, t + 1), {}),
        ("beyond-sum", (x, t + 1), {"reduction": "sum"}),
        ("negative", (x, t - 1), {}),
        ("int16", (x, t.astype(np.int16)), {}),
        ("bool", (x, t > 0), {}),
        ("floats", (x, t.astype("f")), {}),
        ("integer-logits", (np.ones((5, 3), np.int64), t), {}),
        ("integer-probs", (x, p.astype(np.int64)), {}),
        ("one-axis", (x[0], np.arange(3)), {}),
        ("fewer-rows", (x, t[:3]), {}),
        ("one-row-of-probs", (x, p[:1]), {}),
        ("no-axis", (np.array(x[0, 0]), np.array(0)), {}),
        ("weight-of-other-length", (x, t), {"weight": w[:2]}),
        ("weight-without-axis", (x, t), {"weight": np.array(1, "f")}),
        ("weight-of-rows", (x, p), {"weight": p}),
        ("other-weight", (x, t), {"weight": array(w, "float16")}),
        ("ignored-probs", (x, p), {"ignore_index": 0}),
        ("too-smooth", (x, t), {"label_smoothing": 1.5}),
        ("reduction", (x, t), {"reduction": "average"}),
        ("no-reduction", (x, t), {"reduction": None}),
    )


def _nll_loss() -> Iterator[Case]:
    r = rng("nll_loss")
    x, deep = -2 * r.uniform(size=(5, 3)), -2 * r.uniform(size=(2, 3, 4))
    t, far = np.array([0, 2, -100, 1, 2]), r.integers(0, 3, (2, 4))
    w = np.array([0.5, 2.0, 1.25])
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, deep, w)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", "nll_loss", (a[0], t), by)
            yield Case(f"deep-{dtype}-{how}", "nll_loss", (a[1], far), {"weight": a[2], **by})
    x, w = x.astype("f"), w.astype("f")
    yield Case("square", "nll_loss", (r.normal(size=(2, 3, 2, 2)), np.ones((2, 2, 2), int)))
    yield Case("all-ignored", "nll_loss", (x, t * 0 - 100))
    yield Case("ignored", "nll_loss", (x, t % 3), {"ignore_index": 2})
    yield Case("uint8", "nll_loss", (x, (t % 3).astype(np.uint8)))
    yield Case("minus-infinity", "nll_loss", (np.where(x < -1, -np.inf, x), t % 3))
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", "nll_loss", (x[:0], t[:0]), {"reduction": how})
        yield Case(f"single-{how}", "nll_loss", (x[0], np.array(2)), {"reduction": how})
    yield from refused(
        "nll_loss",
        ("beyond", (x, t + 1), {}),
        ("int16", (x, t.astype(np.int16)), {}),
        ("probs", (x, np.exp(x)), {}),
        ("no-axis", (np.array(x[0, 0]), np.array(0)), {}),
        ("fewer-rows", (x, t[:3]), {}),
        ("other-axis", (deep.astype("f"), far[:, :3]), {}),
        ("integer", (np.ones((5, 3), np.int64), t), {}),
        ("weight-of-other-length", (x, t), {"weight": w[:2]}),
        ("other-weight", (x, t), {"weight": array(w, "float16")}),
        ("reduction", (x, t), {"reduction": "batchmean"}),
    )


def _linear_cross_entropy() -> Iterator[Case]:
    r = rng("linear head")
    # All terms of a gradient are of one sign: the first class is unlikely, and the label.
    sign = np.array([-1, 1, 1])
    x, bias = r.uniform(0.2, 2, (4, 5)), sign * r.uniform(size=3)
    head = sign[:, None] * r.uniform(size=(3, 5))
    deep = sign[:, None, None] * r.uniform(size=(3, 2, 5))
    deep_bias = sign[:, None] * r.uniform(size=(3, 2))
    t, p = np.array([0, 0, -100, 0]), np.tile([0.75, 0.125, 0.125], (4, 1))
    far, w = np.zeros((4, 2), np.int64), np.array([0.5, 2.0, 1.25])
    f = "linear_cross_entropy"
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, head, bias, deep, deep_bias, p, w)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", f, (a[0], a[1], t), by, (0, 1))
            more = {"linear_bias": a[2], "weight": a[6], "label_smoothing": 0.25, **by}
            yield Case(f"bias-{dtype}-{how}", f, (a[0], a[1], t), more, (0, 1))
            more = {"linear_bias": a[4], **by}
            yield Case(f"deep-{dtype}-{how}", f, (a[0], a[3], far), more, (0, 1))
            yield Case(f"any-{dtype}-{how}", f, (a[0], a[1], np.array([2, 1, 0, 1])), by, ())
        yield Case(f"probs-{dtype}", f, (a[0], a[1], a[5]), {}, (0, 1))
    x, head, bias, deep, p = (v.astype("f") for v in (x, head, bias, deep, p))
    yield Case("single", f, (x[0], head, np.array(0)), {}, (0, 1))
    yield Case("ignored", f, (x, head, np.array([0, 2, 0, 2])), {"ignore_index": 2}, (0, 1))
    yield Case("all-ignored", f, (x, head, t * 0 - 100), {}, (0, 1))
    yield Case("empty", f, (x[:0], head, t[:0]), {}, (0, 1))
    yield from refused(
        f,
        ("three-axes", (x[None], head, t), {}),
        ("one-axis-of-weights", (x, head[0], t), {}),
        ("other-features", (x, head[:, :4], t), {}),
        ("bias", (x, head, t), {"linear_bias": bias[:2]}),
        ("deep-single", (x[0], deep, far[0]), {}),
        ("ignored-probs", (x, head, p), {"ignore_index": -1}),
        ("beyond", (x, head, t + 1), {}),
        ("two-dtypes", (array(x, "float16"), head, t), {}),
        ("reduction", (x, head, t), {"reduction": "foo"}),
    )


def _binary() -> Iterator[Case]:
    r = rng("binary")
    f = "binary_cross_entropy"
    x, t, hard = r.uniform(size=(4, 3)), r.uniform(size=(4, 3)), r.integers(0, 2, (4, 3))
    w, row = r.uniform(0.5, 2, (4, 1)), r.uniform(0.5, 2, 3)
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, hard, w, row)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"hard-{dtype}-{how}", f, (a[0], a[2]), by)
            yield Case(f"{dtype}-{how}", f, (a[0], a[1]), {"weight": a[3], **by}, (0, 1))
        yield Case(f"row-{dtype}", f, (a[0], a[1]), {"weight": a[4]}, (0, 1))
        ends = array([0, 0, 1, 1, 1e-7, 0.5, 0, 1], dtype)
        to = array([1, 0.25, 0, 0.25, 1, 0.5, 0, 1], dtype)
        if dtype == "float16":  # where 1e-12 is 0; the rest is in the ledger
            ends, to = ends[:-2], to[:-2]
        for how in ways:
            yield Case(f"ends-{dtype}-{how}", f, (ends, to), {"reduction": how})
    x, t, hard = (v.astype("f") for v in (x, t, hard))
    tiny = np.array([1e-37, 1e-20, 1e-12, 1 - 1e-7, 1e-30], "f")
    yield Case("tiny", f, (tiny, np.ones(5, "f")), {"reduction": "none"})
    yield Case("scalar", f, (np.array(x[0, 0]), np.array(t[0, 0])))
    yield Case("wider-weight", f, (x, t), {"weight": w})
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
    yield from refused(
        f,
        ("beyond", (x + 1, t), {}),
        ("nan", (x * np.nan, t), {}),
        ("target-beyond", (x, t + 1), {}),
        ("target-nan", (x, t * np.nan), {}),
        ("integers", (x, hard.astype(np.int64)), {}),
        ("bool", (x, hard > 0), {}),
        ("wider-target", (x, t.astype(np.float64)), {}),
        ("shape", (x, t[0]), {}),
        ("larger-weight", (x[0], t[0]), {"weight": w.astype("f") + x}),
        ("weight", (x, t), {"weight": x[:2, :2]}),
        ("reduction", (x, t), {"reduction": "foo"}),
    )


def _with_logits() -> Iterator[Case]:
    r = rng("logits")
    f = "binary_cross_entropy_with_logits"
    x, t, hard = 3 * r.normal(size=(4, 3)), r.uniform(size=(4, 3)), r.integers(0, 2, (4, 3))
    w, row, pos = r.uniform(0.5, 2, (4, 1)), r.uniform(0.5, 2, 3), r.uniform(0.5, 2, (4, 3))
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, hard, w, row, pos)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", f, (a[0], a[1]), by, (0, 1))
            yield Case(f"hard-{dtype}-{how}", f, (a[0], a[2]), {"weight": a[3], **by})
            yield Case(f"positive-{dtype}-{how}", f, (a[0], a[2]), {"pos_weight": a[4], **by})
        both = {"weight": a[4], "pos_weight": a[5]}
        yield Case(f"both-{dtype}", f, (a[0], a[1]), both)
        far = array([1e4, -1e4, 1e4, -1e4, 80, -80, 20, -20, 0], dtype)
        side = array([1, 1, 0, 0, 1, 1, 1, 0, 1], dtype)
        for how in ways:
            yield Case(f"far-{dtype}-{how}", f, (far, side), {"reduction": how})
    x, t, hard = (v.astype("f") for v in (x, t, hard))
    yield Case("infinite", f, (np.array([np.inf, 1], "f"), np.array([0, 1], "f")), {}, ())
    yield Case("labels-beyond", f, (x, 3 * t - 1), {"reduction": "none"})
    yield Case("scalar", f, (np.array(x[0, 0]), np.array(t[0, 0])))
    yield Case("wider-target", f, (x, t.astype(np.float64)))
    yield Case("half-and-wider-target", f, (array(x, "float16"), t))
    yield Case("wider-weights", f, (x, t), {"weight": row, "pos_weight": pos})
    yield Case("integer-weights", f, (x, t), {"weight": np.arange(3), "pos_weight": np.arange(3)})
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
    yield from refused(
        f,
        ("integers", (x, hard.astype(np.int64)), {}),
        ("bool", (x, hard > 0), {}),
        ("shape", (x, t[0]), {}),
        ("integer-logits", (hard.astype(np.int64), hard.astype(np.int64)), {}),
        ("larger-weight", (x[0], t[0]), {"weight": x}),
        ("positive", (x, t), {"pos_weight": np.ones(4, "f")}),
        ("larger-positive", (x[0], t[0]), {"pos_weight": np.ones((4, 1), "f")}),
        ("reduction", (x, t), {"reduction": "foo"}),
    )


def _focal() -> Iterator[Case]:
    r = rng("focal")
    f = "sigmoid_focal_loss"
    x, t, hard = 2 * r.normal(size=(4, 3)), r.uniform(size=(4, 3)), r.integers(0, 2, (4, 3))
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, hard)]
        for how in ways:
            yield Case(f"{dtype}-{how}", f, (a[0], a[2]), {"reduction": how})
        yield Case(f"soft-{dtype}", f, (a[0], a[1]), {"alpha": -1, "gamma": 1.5})
        yield Case(f"plain-{dtype}", f, (a[0], a[2]), {"alpha": 0.75, "gamma": 0})
        far = array([40, -40, 100, -100, 40, -40], dtype)
        yield Case(f"far-{dtype}", f, (far, array([0, 1, 0, 1, 1, 0], dtype)))
    x, t, hard = (v.astype("f") for v in (x, t, hard))
    yield Case("wider-target", f, (x, hard.astype(np.float64)))
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
    yield from refused(
        f,
        ("integers", (x, hard.astype(np.int64)), {}),
        ("shape", (x, t[0]), {}),
        ("alpha", (x, t), {"alpha": 2.0}),
        ("negative-alpha", (x, t), {"alpha": -0.5}),
        ("reduction", (x, t), {"reduction": "foo"}),
    )


def _soft_margin() -> Iterator[Case]:
    r = rng("margin")
    f = "soft_margin_loss"
    x, t = 3 * r.normal(size=(4, 3)), 2.0 * r.integers(0, 2, (4, 3)) - 1
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t)]
        for how in ways:
            yield Case(f"{dtype}-{how}", f, (a[0], a[1]), {"reduction": how})
            # exp(11.1) is beyond float16, exp(88.8) beyond float32.
            most = 9 if dtype == "float16" else 60
            args = array([most, -most, 0, most], dtype), array([1, 1, 1, -1], dtype)
            yield Case(f"far-{dtype}-{how}", f, args, {"reduction": how})
    x, t = (v.astype("f") for v in (x, t))
    yield Case("row", f, (x, t[0]), {}, ())
    yield Case("wider-target", f, (x, t.astype(np.float64)), {}, ())
    yield Case("integers", f, (x, t.astype(np.int64)))
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
    yield Case("refused-larger-target", f, (x[0], t))
    yield Case("refused-shape", f, (x, t[:, :2]))
    yield Case("refused-reduction", f, (x, t), {"reduction": "foo"})


_ERRORS: dict[str, list[dict[str, Any]]] = {
    "mse_loss": [{}],
    "l1_loss": [{}],
    "smooth_l1_loss": [{}, {"beta": 0.5}, {"beta": 0.0}],
    "huber_loss": [{}, {"delta": 0.5}],
}


def _regression() -> Iterator[Case]:
    for f, settings in _ERRORS.items():
        r = rng(f)
        x, t, w = r.normal(size=(4, 3)), r.normal(size=(4, 3)), r.uniform(0.5, 2, (4, 3))
        for dtype, ways in GRID.items():
            a = [array(v, dtype) for v in (x, t, w)]
            for how in ways:
                for i, options in enumerate(settings):
                    by = {"reduction": how, **options}
                    yield Case(f"{i}-{dtype}-{how}", f, (a[0], a[1]), by, (0, 1))
                if f != "smooth_l1_loss":
                    by = {"reduction": how, "weight": a[2]}
                    yield Case(f"weight-{dtype}-{how}", f, (a[0], a[1]), by, (0, 1))
            far = array([1e4, -1e4, 0, 1, -1], dtype), array([-1e4, 0, 0, 0, 0], dtype)
            if dtype != "float16":
                yield Case(f"far-{dtype}", f, far, {"reduction": "none"})
        x, t, w = (v.astype("f") for v in (x, t, w))
        for how in ("sum", "mean"):
            yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
        yield Case("scalar", f, (np.array(x[0, 0]), np.array(t[0, 0])))
        yield Case("row", f, (x, t[0]), {}, (0, 1))
        yield Case("column", f, (x[0], t[:, :1]), {}, (0, 1))
        yield Case("number", f, (x, np.array(t[0, 0])), {"reduction": "none"}, (0, 1))
        yield Case("wider-target", f, (x, t.astype(np.float64)), {}, ())
        yield Case("half-and-wider-target", f, (array(x, "float16"), t), {}, ())
        yield Case("two-halves", f, (array(x, "float16"), array(t, "bfloat16")), {}, ())
        yield Case("integers", f, (x, np.arange(12).reshape(4, 3)), {}, ())
        yield Case("kinks", f, (np.array([-1, 0, 1], "f"), np.zeros(3, "f")))
        yield Case("infinite", f, (np.array([np.inf, -np.inf], "f"), np.zeros(2, "f")), {}, ())
        yield Case("oldest-mean", f, (x, t), {"reduction": "elementwise_mean"})
        if f != "huber_loss":
            yield Case("old-sum", f, (x, t), {"size_average": False})
        wrong: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
            ("shape", (x, t[:, :2]), {}),
            ("integer-input", (np.ones(3, np.int64), np.ones(3, np.int64)), {}),
            ("reduction", (x, t), {"reduction": "foo"}),
            ("no-reduction", (x, t), {"reduction": None}),
        ]
        if f == "smooth_l1_loss":
            wrong.append(("beta", (x, t), {"beta": -1.0}))
        else:
            wide = w.astype(np.float64)
            yield Case("wider-weight", f, (x, t), {"weight": wide}, ())
            yield Case("zero-weight", f, (x, t), {"weight": 0 * w}, ())
            yield Case("weight-of-some", f, (x, t), {"weight": w * (w > 1)})
            wrong += [
                ("weight", (x, t), {"weight": w[0]}),
                ("weight-and-mean", (x, t), {"weight": w, "reduction": "elementwise_mean"}),
            ]
        if f == "huber_loss":
            wrong += [(f"delta-{d}", (x, t), {"delta": d}) for d in (0.0, -1.0)]
        yield from refused(f, *wrong)


def _kl_div() -> Iterator[Case]:
    r = rng("kl")
    f = "kl_div"
    # Far from another, so that little cancels.
    x, t = r.uniform(-4, -2, (4, 3)), r.uniform(0.4, 0.9, (4, 3))
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, np.log(t))]
        for how in (*ways, "batchmean"):
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", f, (a[0], a[1]), by, (0, 1))
            log = {"log_target": True, **by}
            yield Case(f"log-{dtype}-{how}", f, (a[0], a[2]), log, (0, 1))
        hard = array(np.eye(3)[[0, 1, 1, 2]], dtype)
        yield Case(f"hard-{dtype}", f, (a[0], hard), {"reduction": "batchmean"})
    x, t = (v.astype("f") for v in (x, t))
    yield Case("row", f, (x, t[0]), {}, (0, 1))
    by = {"reduction": "batchmean"}
    yield Case("larger-target", f, (x[0], t), by, (0, 1))
    yield Case(
        "number", f, (np.array(x[0, 0]), np.array(t[0, 0])), {"reduction": "batchmean"}, (0, 1)
    )
    yield Case("wider-target", f, (x, t.astype(np.float64)), {}, ())
    yield Case("wider-number", f, (x, np.float64(0.5).reshape(())), {}, ())
    yield Case("negative", f, (x, t - 0.4), {"reduction": "none"}, ())
    yield Case("absent", f, (np.array([-np.inf, -1], "f"), np.array([0.5, 0.5], "f")), {}, ())
    yield Case("old-mean", f, (x, t), {"size_average": True})
    for how in (*HOW, "batchmean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0]), {"reduction": how})
    yield from refused(
        f,
        ("integers", (x, np.ones((4, 3), np.int64)), {}),
        ("integer-input", (np.ones((4, 3), np.int64), t), {}),
        ("shape", (x, t[:, :2]), {}),
        ("reduction", (x, t), {"reduction": "foo"}),
    )


def _poisson() -> Iterator[Case]:
    r = rng("poisson")
    f = "poisson_nll_loss"
    t = r.poisson(3, (4, 3))
    t[0, :2] = 0, 1
    # Rates far from the counts, so that little cancels.
    x = np.log(t + 1) + np.where(r.uniform(size=(4, 3)) < 0.5, -1, 1) * r.uniform(0.7, 1.5, (4, 3))
    rate = np.exp(x)
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, rate)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", f, (a[0], a[1]), by, (0, 1))
            yield Case(f"full-{dtype}-{how}", f, (a[0], a[1]), {"full": True, **by})
            yield Case(f"rate-{dtype}-{how}", f, (a[2], a[1]), {"log_input": False, **by}, (0, 1))
        both = {"full": True, "log_input": False, "eps": 0.25}
        yield Case(f"both-{dtype}", f, (a[2], a[1]), both)
        some = array(3 * rate + 1, dtype)
        yield Case(f"more-{dtype}", f, (a[0], some), {"full": True}, (0, 1))
    x, rate = x.astype("f"), rate.astype("f")
    yield Case("integers", f, (x, t), {"full": True})
    yield Case("row", f, (x, 30 * rate[0]), {}, (0, 1))
    yield Case("larger-target", f, (x[0], rate), {}, (0, 1))
    yield Case("wider-target", f, (x, rate.astype(np.float64)), {}, ())
    yield Case("integer-input", f, (t, t), {}, ())
    zeros = np.zeros(2, "f"), np.array([0, 2], "f")
    yield Case("no-rate", f, zeros, {"log_input": False})
    yield Case("overflow", f, (np.array([100, -200], "f"), zeros[1]), {"reduction": "none"})
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], rate[:0]), {"reduction": how})
    for name, options in (("reduction", {"reduction": "foo"}), ("old", {"reduction": "batchmean"})):
        yield Case(f"refused-{name}", f, (x, rate), options)
    yield Case("refused-shape", f, (x, rate[:, :2]))


def _gaussian() -> Iterator[Case]:
    r = rng("gaussian")
    f = "gaussian_nll_loss"
    x, var = r.normal(size=(4, 3)), r.uniform(0.5, 1.5, (4, 3))
    # Errors beyond the variances, so that little cancels.
    t = x + np.where(r.uniform(size=(4, 3)) < 0.5, -1, 1) * r.uniform(1.8, 3, (4, 3))
    for dtype, ways in GRID.items():
        a = [array(v, dtype) for v in (x, t, var)]
        for how in ways:
            by = {"reduction": how}
            yield Case(f"{dtype}-{how}", f, (a[0], a[1], a[2]), by, (0, 1, 2))
            args = (a[0], a[1], a[2][:, 0])
            yield Case(f"rows-{dtype}-{how}", f, args, {"full": True, **by}, (0, 1, 2))
        yield Case(f"number-{dtype}", f, (a[0], a[1], 0.5))
        yield Case(f"column-{dtype}", f, (a[0], a[1], a[2][:, :1]), {}, (0, 1, 2))
        yield Case(f"first-{dtype}", f, (a[0], a[1], a[2][:1]), {}, (0, 1, 2))
        small = {"eps": 0.125, "reduction": "none"}
        yield Case(f"small-{dtype}", f, (a[0], a[1], array(var / 16, dtype)), small, (0, 1, 2))
    x, t, var = (v.astype("f") for v in (x, t, var))
    yield Case("zero", f, (x, t, 0 * var), {}, (0, 2))
    yield Case("zero-number", f, (x, t, 0.0))
    yield Case("one-axis", f, (x[0], t[0], np.array(0.5, "f")), {}, (0, 1, 2))
    yield Case("row-of-targets", f, (x, t[0], var), {}, (0, 1, 2))
    yield Case("larger-target", f, (x[:1], t, var[:1]), {}, (0, 1, 2))
    yield Case("wider-variance", f, (x, t, var.astype(np.float64)), {}, ())
    yield Case("two-halves", f, (array(x, "float16"), array(t, "bfloat16"), 1.0), {}, ())
    for how in ("sum", "mean"):
        yield Case(f"empty-{how}", f, (x[:0], t[:0], var[:0]), {"reduction": how})
    yield from refused(
        f,
        ("negative", (x, t, -var), {}),
        ("negative-number", (x, t, -1.0), {}),
        ("row", (x, t, var[0]), {}),
        ("one", (x, t, var[:1, :1]), {}),
        ("no-axis", (x, t, np.array(1, "f")), {}),
        ("shape", (x, t[:, :2], var), {}),
        ("reduction", (x, t, var), {"reduction": "batchmean"}),
    )


def _classes() -> Iterator[Case]:
    r = rng("classes")
    x, t = r.normal(size=(4, 3)).astype("f"), np.array([0, 2, -100, 1])
    p, var = softmax(r.normal(size=(4, 3))).astype("f"), r.uniform(0.5, 2, (4, 3)).astype("f")
    w, log = np.array([0.5, 2, 1.25], "f"), np.log(p)
    calls: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = (
        ("CrossEntropyLoss", (x, t), {"weight": w, "label_smoothing": 0.25}),
        ("NLLLoss", (log, t), {"weight": w, "ignore_index": 2}),
        ("BCELoss", (p, p[::-1].copy()), {"weight": w}),
        ("BCEWithLogitsLoss", (x, np.round(p)), {"weight": w, "pos_weight": w}),
        ("MSELoss", (x, p), {}),
        ("L1Loss", (x, p), {}),
        ("SmoothL1Loss", (x, p), {"beta": 0.5}),
        ("HuberLoss", (x, p), {"delta": 0.5}),
        ("KLDivLoss", (log, p), {"log_target": True}),
        ("PoissonNLLLoss", (x, p), {"full": True, "log_input": False, "eps": 4.0}),
        ("GaussianNLLLoss", (x, p, var), {"full": True, "eps": 1.0}),
        ("SoftMarginLoss", (x, np.sign(p - 0.3)), {}),
    )
    for name, args, options in calls:
        if name == "NLLLoss":
            args = (log, t % 3)
        yield Case("plain", name, args, {}, call={})
        for how in ("none", "sum"):
            yield Case(how, name, args, {**options, "reduction": how}, call={})
        if name not in ("HuberLoss", "GaussianNLLLoss"):
            yield Case("old", name, args, {**options, "size_average": False}, call={})
        yield Case("refused", name, args, {"reduction": "foo"}, call={})
    yield Case("refused-delta", "HuberLoss", (x, p), {"delta": "1"}, call={})
    f, head = "LinearCrossEntropyLoss", {"in_features": 3, "num_classes": 3}
    yield Case("refused-smoothing", f, (x, t), {**head, "label_smoothing": 1.5}, call={})
    yield Case("refused-weight", f, (x, t), {**head, "weight": w[:2]}, call={})
    by = {"reduction": "batchmean"}
    yield Case("batchmean", "KLDivLoss", (log, p), by, call={})
    yield Case("by-name", "PoissonNLLLoss", (), call={"log_input": x, "target": p}, wrt=())


CASES: list[Case] = [
    case
    for cases in (
        _cross_entropy,
        _nll_loss,
        _linear_cross_entropy,
        _binary,
        _with_logits,
        _focal,
        _soft_margin,
        _regression,
        _kl_div,
        _poisson,
        _gaussian,
        _classes,
    )
    for case in cases()
]


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    import torch
    import torch.nn.functional as F

    found = {name: getattr(F, name, sigmoid_focal_loss) for name in FUNCTIONS}
    return {**found, **{name: getattr(torch.nn, name) for name in CLASSES}}


def sigmoid_focal_loss(
    inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Any:
    """``torchvision.ops.sigmoid_focal_loss`` as its sources describe it."""
    import torch
    import torch.nn.functional as F

    if not 0 <= alpha <= 1 and alpha != -1:
        raise ValueError(alpha)
    p = torch.sigmoid(inputs)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none")
    loss = loss * (1 - (p * targets + (1 - p) * (1 - targets))) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction == "none":
        return loss
    if reduction not in ("mean", "sum"):
        raise ValueError(reduction)
    return loss.mean() if reduction == "mean" else loss.sum()


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case."""
    import torch

    def tensor(x: Any) -> Any:
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        if x.dtype == ml_dtypes.bfloat16:
            return torch.from_numpy(np.array(x).view(np.int16)).view(torch.bfloat16)
        return torch.from_numpy(np.array(x))

    def plain(x: Any) -> Array:
        x = x.detach()
        if x.dtype == torch.bfloat16:
            found: Array = x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
            return found
        found = x.numpy()
        return found

    args = [tensor(x) for x in case.args]
    options = {name: tensor(x) for name, x in case.options.items()}
    with warnings.catch_warnings(action="ignore"):
        function = ORIGINALS()[case.function]
        if case.call is not None:
            function, options = function(**options), {k: tensor(x) for k, x in case.call.items()}
        wanted = [args[k].requires_grad_() for k in case.wrt]
        value = function(*args, **options)
        gradients = torch.autograd.grad(value.sum(), wanted) if wanted else ()
    return plain(value), tuple(map(plain, gradients))


def truth(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """The same, in more digits."""
    name = CLASSES.get(case.function, case.function)
    options = {**_defaults(name), **case.options}
    if case.call:
        args = tuple(case.call.values())
    else:
        args = case.args
    if options.pop("size_average", None) is False:
        options["reduction"] = "sum"
    elif case.options.get("size_average") or options["reduction"] == "elementwise_mean":
        options["reduction"] = "mean"
    if options.pop("reduce", None) is False:
        options["reduction"] = "none"
    options = {k: _wide(x) for k, x in options.items()}
    return torch_truth.run(torch_truth.ALL[name], tuple(map(_wide, args)), options, case.wrt)


def _wide(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)) and "float" in x.dtype.name:
        return x.astype(np.longdouble)
    return x


def _defaults(name: str) -> dict[str, Any]:
    from xentropy.dialects import torch as ours

    parameters = inspect.signature(getattr(ours, name)).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
