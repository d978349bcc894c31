"""Focal cross entropy, over classes and binary."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .case import BOTH, Case, rng
from .inputs import LABELS, LOGITS, C, N, binary_labels, wrt_for

__all__ = ["sigmoid_cases", "softmax_cases"]


def softmax_cases() -> Iterator[Case]:
    recipes = ("scale 1", "scale 10", "confident", "thousands", "offset 1e4")
    for g, recipe, (kind, label) in itertools.product(
        (0.0, 0.5, 2.0, 3.7), recipes, LABELS.items()
    ):
        name = f"softmax focal {kind} {g} {recipe}"
        r = rng(name)
        yield Case(
            name,
            "softmax_focal_cross_entropy",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": label(r)},
            {"gamma": g},
            wrt=wrt_for(kind),
            dtypes=BOTH[:1] if kind == "index" else BOTH[1:],
            compiled=(kind, g, recipe) == ("index", 2.0, "scale 10"),
        )
    for kind, label in LABELS.items():
        r = rng(f"softmax focal options {kind}")
        for alpha in (np.array(0.25), r.uniform(0.2, 0.8, C)):
            yield Case(
                f"softmax focal {kind} alpha {alpha.shape}",
                "softmax_focal_cross_entropy",
                {
                    "logits": 2 * r.normal(size=(N, C)),
                    "labels": label(r),
                    "alpha": alpha,
                    "sample_weight": r.uniform(size=N),
                    "where": np.array([True, True, False, True]),
                },
                {"gamma": 1.5},
                wrt=wrt_for(kind, "alpha", "sample_weight"),
                dtypes=BOTH[alpha.ndim :][:1],
            )


def sigmoid_cases() -> Iterator[Case]:
    recipes = ("scale 1", "scale 10", "confident", "thousands")
    for g, recipe, (kind, labels) in itertools.product(
        (0.0, 0.5, 2.0, 3.7), recipes, binary_labels().items()
    ):
        name = f"sigmoid focal {g} {recipe} {kind}"
        yield Case(
            name,
            "sigmoid_focal_cross_entropy",
            {"logits": LOGITS[recipe](rng(name), (N, C)), "labels": labels},
            {"gamma": g},
            wrt=("logits", "labels") if labels.dtype.kind == "f" else ("logits",),
            dtypes=BOTH[:1] if kind == "hard" else BOTH[1:],
        )
    r = rng("sigmoid focal options")
    for alpha, (kind, labels) in itertools.product(
        (np.array(0.25), r.uniform(0.2, 0.8, C)), binary_labels().items()
    ):
        yield Case(
            f"sigmoid focal alpha {alpha.shape} {kind}",
            "sigmoid_focal_cross_entropy",
            {
                "logits": 2 * r.normal(size=(N, C)),
                "labels": labels,
                "alpha": alpha,
                "sample_weight": r.uniform(size=(N, C)),
            },
            {"gamma": 1.5, "label_smoothing": 0.1},
            wrt=(
                "logits",
                *(("labels",) if labels.dtype.kind == "f" else ()),
                "alpha",
                "sample_weight",
            ),
            dtypes=BOTH[alpha.ndim :][:1],
        )
