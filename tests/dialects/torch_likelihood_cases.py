"""Calls of the losses of torch that are likelihoods, and of its divergence."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tests.dialects.case import Case, array
from tests.dialects.torch_grid import GRID, HOW, refused, rng

__all__ = ["gaussian", "kl_div", "poisson"]


def kl_div() -> Iterator[Case]:
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


def poisson() -> Iterator[Case]:
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


def gaussian() -> Iterator[Case]:
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
    for eps in (0, -1.0):
        yield Case(f"eps-{eps}", f, (x, t, var), {"eps": eps}, (0, 1, 2))
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
