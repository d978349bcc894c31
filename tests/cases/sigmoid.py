"""Sigmoid cross entropy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .case import BOTH, Case, rng
from .inputs import DENSE_WRT, LOGITS, WEIGHTS, C, N, binary_labels

__all__ = ["cases"]


def _inputs() -> Iterator[Case]:
    weights = {
        "": None,
        " pos_weight": np.array(3.0),
        " pos_weight by class": rng("q").uniform(0.2, 4, C),
    }
    for (recipe, make), (kind, labels), (weighted, q) in itertools.product(
        LOGITS.items(), binary_labels().items(), weights.items()
    ):
        if weighted and recipe not in ("scale 1", "scale 10", "thousands"):
            continue
        name = f"sigmoid {kind} {recipe}{weighted}"
        arrays = {"logits": make(rng(name), (N, C)), "labels": labels}
        yield Case(
            name,
            "sigmoid_cross_entropy" if q is None else "weighted_sigmoid_cross_entropy",
            arrays if q is None else {**arrays, "pos_weight": q},
            wrt=("logits",)
            + (("labels",) if labels.dtype.kind == "f" else ())
            + (() if q is None else ("pos_weight",)),
            dtypes=BOTH if q is None and kind != "bool" else BOTH[:1],
            compiled=(kind, recipe) == ("soft", "scale 10") and weighted.endswith("class"),
        )


def _options() -> Iterator[Case]:
    r = rng("sigmoid options")
    x, soft = 5 * r.normal(size=(N, C)), binary_labels()["soft"]
    everything = {
        "pos_weight": r.uniform(0.5, 3, C),
        "sample_weight": r.uniform(size=(N, 1)),
        "where": r.integers(0, 4, (1, C)) > 0,
    }
    for name, labels, more in (
        ("everything", soft, everything),
        ("scalar label", np.array(0.25), everything),
        ("row of labels", soft[:1], {}),
        ("labels outside [0, 1]", 4 * r.normal(size=(N, C)), {}),
        ("negative pos_weight", soft, {"pos_weight": np.array(-2.0)}),
    ):
        yield Case(
            f"sigmoid {name}",
            "sigmoid_cross_entropy",
            {"logits": x, "labels": labels, **more},
            {"label_smoothing": 0.15} if more else {},
            wrt=("logits", "labels", *(k for k in WEIGHTS if k in more)),
            dtypes=BOTH[:1],
        )
    yield Case(
        "sigmoid of a number",
        "sigmoid_cross_entropy",
        {"logits": np.array(0.3), "labels": np.array(1.0)},
        wrt=DENSE_WRT,
    )


def cases() -> Iterator[Case]:
    yield from _inputs()
    yield from _options()
