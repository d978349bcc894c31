"""Softmax and poly cross entropy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from .case import BOTH, Array, Case, rng
from .inputs import (
    DENSE_WRT,
    INDEX_WRT,
    LABELS,
    LOGITS,
    WEIGHTS,
    C,
    N,
    shares,
    softmax_options,
    wrt_for,
)

__all__ = ["cases"]

_EITHER = {"index": "sparse_softmax_cross_entropy"}


def _inputs() -> Iterator[Case]:
    for (recipe, make), (kind, label) in itertools.product(LOGITS.items(), LABELS.items()):
        name = f"softmax {kind} {recipe}"
        r = rng(name)
        yield Case(
            name,
            _EITHER.get(kind, "softmax_cross_entropy"),
            {"logits": make(r, (N, C)), "labels": label(r)},
            wrt=wrt_for(kind),
        )
    for kind, label in LABELS.items():
        r = rng(f"softmax off target {kind}")
        x, labels = r.normal(size=(N, C)), label(r)
        x[:, 3] = -np.inf
        labels = np.where(labels == 3, 2, labels) if kind == "index" else labels.copy()
        if kind != "index":
            labels[:, 3] = 0
        yield Case(
            f"softmax {kind} -inf off target",
            "cross_entropy",
            {"logits": x, "labels": labels},
            wrt=("logits",),
        )


def _labels() -> Iterator[Case]:
    """Labels that are no distribution of the shape of the logits."""
    r = rng("softmax labels")
    x = 3 * r.normal(size=(N, C))
    shaped: dict[str, Array] = {
        "not normalized": 3 * shares(r),
        "negative": r.normal(size=(N, C)),
        "one row": shares(r, (1, C)),
        "one column": r.uniform(size=(N, 1)),
        "scalar": np.array(0.3),
        "integer": r.integers(0, 3, (N, C)),
        "bool": r.integers(0, 2, (N, C)).astype(bool),
        "zero": np.zeros((N, C)),
    }
    for kind, labels in shaped.items():
        yield Case(
            f"softmax labels {kind}",
            "softmax_cross_entropy",
            {"logits": x, "labels": labels},
            wrt=DENSE_WRT if labels.dtype.kind == "f" else INDEX_WRT,
            dtypes=BOTH[:1],
        )
    for kind, label in LABELS.items():
        yield Case(
            f"softmax one class {kind}",
            "cross_entropy",
            {
                "logits": x[:, :1],
                "labels": label(r)[:, :1] if kind != "index" else np.zeros(N, int),
            },
            wrt=wrt_for(kind),
            dtypes=BOTH[:1],
        )
        yield Case(
            f"softmax one example {kind}",
            "cross_entropy",
            {"logits": x[0], "labels": label(r)[0]},
            wrt=wrt_for(kind),
            dtypes=BOTH[1:],
        )


def _axes() -> Iterator[Case]:
    r = rng("softmax axes")
    x = 4 * r.normal(size=(3, 4, 5))
    for axis, loss in ((0, "poly_cross_entropy"), (1, "cross_entropy"), (-1, "cross_entropy")):
        c, batch = x.shape[axis], tuple(np.delete(x.shape, axis).tolist())
        index = r.integers(0, c, batch)
        dense = np.moveaxis(shares(r, (*batch, c)), -1, axis)
        options: dict[str, Array] = {
            "class_weight": r.uniform(0.5, 2, (c,)),
            "class_mask": np.ones(c, bool),
            "sample_weight": r.uniform(0.5, 2, (batch[0], 1)),
            "where": r.integers(0, 4, batch) > 0,
        }
        for kind, labels in (("index", index), ("dense", dense)):
            yield Case(
                f"{loss} axis {axis} {kind}",
                loss,
                {"logits": x, "labels": labels, **options},
                {"axis": axis, "label_smoothing": 0.2, "z_loss": 0.01},
                wrt=wrt_for(kind, "class_weight", "sample_weight"),
                dtypes=("float32",) if axis == 0 else ("float64",),
            )


def _each_option() -> Iterator[Case]:
    for kind, label in LABELS.items():
        for option, (arrays, numbers) in softmax_options(rng(f"softmax options {kind}")).items():
            name = f"softmax {kind} {option}"
            r = rng(name)
            labels = label(r)
            if "class_mask" in arrays:  # a label on a removed class belongs to the extremes
                labels = labels % 2 if kind == "index" else labels * arrays["class_mask"]
            yield Case(
                name,
                "cross_entropy",
                {"logits": 4 * r.normal(size=(N, C)), "labels": labels, **arrays},
                numbers,
                wrt=wrt_for(kind, *(k for k in WEIGHTS if k in arrays)),
                dtypes=BOTH[1:] if option == "everything" else BOTH[:1],
                compiled=option == "everything" and kind != "one-hot",
            )
    r = rng("softmax ignored")
    labels = np.array([2, 5, -100, 5])
    for k in (-100, 5, 3):
        yield Case(
            f"softmax ignore {k}",
            "sparse_softmax_cross_entropy",
            {"logits": r.normal(size=(N, C)), "labels": np.where(labels == k, k, labels % C)},
            {"ignore_index": k, "label_smoothing": 0.1},
            wrt=INDEX_WRT,
            dtypes=BOTH[:1],
        )


def _poly() -> Iterator[Case]:
    for e, (kind, label) in itertools.product((1.0, 0.0, -0.75, 10.0), LABELS.items()):
        name = f"poly {kind} {e}"
        r = rng(name)
        recipe = "confident" if e == 1.0 else "scale 1"
        yield Case(
            name,
            "poly_cross_entropy",
            {"logits": LOGITS[recipe](r, (N, C)), "labels": label(r)},
            {"epsilon": e},
            wrt=wrt_for(kind),
        )
    for kind, label in LABELS.items():
        r = rng(f"poly options {kind}")
        arrays, numbers = softmax_options(r)["everything"]
        labels = label(r)
        labels = labels % 2 if kind == "index" else labels * arrays["class_mask"]
        yield Case(
            f"poly {kind} everything",
            "poly_cross_entropy",
            {"logits": 4 * r.normal(size=(N, C)), "labels": labels, **arrays},
            {**numbers, "epsilon": 2.0},
            wrt=wrt_for(kind, "class_weight", "sample_weight"),
            dtypes=BOTH[:1],
        )


def cases() -> Iterator[Case]:
    yield from _inputs()
    yield from _labels()
    yield from _axes()
    yield from _each_option()
    yield from _poly()
