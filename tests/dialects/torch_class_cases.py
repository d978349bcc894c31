"""Calls of the classes of torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.dialects.case import Case
from tests.dialects.torch_grid import rng, softmax

__all__ = ["classes"]


def classes() -> Iterator[Case]:
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
