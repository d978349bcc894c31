"""Calls of the losses of torch that normalize over classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Case, array
from tests.dialects.torch_grid import GRID, HOW, refused, rng, softmax

__all__ = ["cross_entropy", "linear_cross_entropy", "nll_loss"]


def cross_entropy() -> Iterator[Case]:
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


def nll_loss() -> Iterator[Case]:
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
        ("empty-int16", (x[:0], t[:0].astype(np.int16)), {}),
        ("probs", (x, np.exp(x)), {}),
        ("no-axis", (np.array(x[0, 0]), np.array(0)), {}),
        ("fewer-rows", (x, t[:3]), {}),
        ("other-axis", (deep.astype("f"), far[:, :3]), {}),
        ("integer", (np.ones((5, 3), np.int64), t), {}),
        ("weight-of-other-length", (x, t), {"weight": w[:2]}),
        ("other-weight", (x, t), {"weight": array(w, "float16")}),
        ("reduction", (x, t), {"reduction": "batchmean"}),
    )


def linear_cross_entropy() -> Iterator[Case]:
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
