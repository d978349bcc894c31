"""Cross entropy of probabilities."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from .case import BOTH, Case, rng
from .inputs import LABELS, PROBS, WEIGHTS, C, N, binary_labels, softmax_options, wrt_for

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    for (recipe, make), (kind, label) in itertools.product(PROBS.items(), LABELS.items()):
        for option in ("plain", "smoothing", "class weight", "everything"):
            name = f"categorical {kind} {recipe} {option}"
            r = rng(name)
            arrays, numbers = softmax_options(r)[option] if option != "plain" else ({}, {})
            arrays = {k: v for k, v in arrays.items() if k != "class_mask"}
            numbers = {k: v for k, v in numbers.items() if k != "z_loss"}
            loss = "categorical_cross_entropy"
            yield Case(
                name,
                f"sparse_{loss}" if kind == "index" else loss,
                {"probs": make(r, (N, C)), "labels": label(r), **arrays},
                numbers,
                wrt=("probs", *wrt_for(kind, *(k for k in WEIGHTS if k in arrays))[1:]),
                dtypes=BOTH if (option, kind) == ("plain", "dense") else BOTH[:1],
            )
    for (recipe, make), (kind, labels) in itertools.product(PROBS.items(), binary_labels().items()):
        for smoothing in (0.0, 0.2):
            name = f"binary {recipe} {kind} {smoothing}"
            r = rng(name)
            yield Case(
                name,
                "binary_cross_entropy",
                {"probs": make(r, (N, C)), "labels": labels},
                {"label_smoothing": smoothing},
                wrt=("probs", "labels") if labels.dtype.kind == "f" else ("probs",),
                dtypes=BOTH[:1] if smoothing or kind == "bool" else BOTH,
            )
