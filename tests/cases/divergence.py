"""KL divergence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .case import BOTH, Case, rng
from .inputs import DENSE_WRT, LOGITS, C, N, shares

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    recipes = ("scale 0.1", "scale 1", "scale 10", "confident", "thousands", "offset 1e4")
    for heat, recipe in itertools.product((1.0, 0.5, 2.5), recipes):
        name = f"kl {heat} {recipe}"
        r = rng(name)
        labels = shares(r)
        labels[:, 1] = 0
        yield Case(
            name,
            "kl_divergence",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": labels},
            {"temperature": heat},
            wrt=DENSE_WRT,
            dtypes=BOTH if heat == 2.5 else BOTH[:1],
        )
    r = rng("kl options")
    yield Case(
        "kl axis and weights",
        "kl_divergence",
        {
            "logits": r.normal(size=(3, 4, 5)),
            "labels": np.moveaxis(shares(r, (3, 5, 4)), -1, 1),
            "sample_weight": r.uniform(size=(1, 5)),
            "where": r.integers(0, 3, (3, 1)) > 0,
        },
        {"axis": 1, "temperature": 2.0},
        wrt=("logits", "labels", "sample_weight"),
        dtypes=BOTH[:1],
    )
