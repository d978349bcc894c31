"""logsumexp and log_softmax."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .case import BOTH, Case, rng
from .inputs import LOGITS, C, N

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    mask = np.array([True, False, True, True, True, False, True])
    for loss, (recipe, make) in itertools.product(("logsumexp", "log_softmax"), LOGITS.items()):
        name = f"{loss} {recipe}"
        yield Case(name, loss, {"x": make(rng(name), (N, C))}, wrt=("x",))
    for loss in ("logsumexp", "log_softmax"):
        r = rng(loss)
        yield Case(
            f"{loss} mask",
            loss,
            {"x": r.normal(size=(N, C)), "where": mask},
            wrt=("x",),
            compiled=True,
        )
        x = r.normal(size=(3, 4, 5))
        yield Case(f"{loss} axis", loss, {"x": x}, {"axis": 1}, wrt=("x",), dtypes=BOTH[:1])
    name, keep = "logsumexp keepdims", {"keepdims": True, "axis": 0}
    x = rng(name).normal(size=(N, C))
    yield Case(name, "logsumexp", {"x": x}, keep, wrt=("x",), dtypes=BOTH[:1])
