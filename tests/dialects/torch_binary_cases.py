"""Calls of the losses of torch of independent labels."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.dialects.case import Case, array
from tests.dialects.torch_grid import GRID, refused, rng

__all__ = ["binary", "focal", "soft_margin", "with_logits"]


def binary() -> Iterator[Case]:
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


def with_logits() -> Iterator[Case]:
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
    wide = x.astype(np.float64)
    yield Case("narrower-target", f, (wide, t), {"weight": row, "pos_weight": pos})
    yield Case("half-target", f, (x, array(hard, "bfloat16")), {"reduction": "none"})
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


def focal() -> Iterator[Case]:
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


def soft_margin() -> Iterator[Case]:
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
