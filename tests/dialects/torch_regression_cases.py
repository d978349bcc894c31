"""Calls of the losses of torch of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Case, array
from tests.dialects.torch_grid import GRID, refused, rng

__all__ = ["regression"]


_ERRORS: dict[str, list[dict[str, Any]]] = {
    "mse_loss": [{}],
    "l1_loss": [{}],
    "smooth_l1_loss": [{}, {"beta": 0.5}, {"beta": 0.0}],
    "huber_loss": [{}, {"delta": 0.5}],
}


def regression() -> Iterator[Case]:
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
        if f in ("mse_loss", "l1_loss"):
            whole = np.arange(12).reshape(4, 3)
            yield Case("integers-with-weight", f, (whole, whole.T.reshape(4, 3)), {"weight": w}, ())
        many = r.normal(size=(2000, 2)), r.normal(size=2)
        yield Case("half-row", f, tuple(array(v, "float16") for v in many), {}, (1,))
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
