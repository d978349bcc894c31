"""Predictions, labels and options that the cases are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .case import Array, rng

__all__ = [
    "DENSE_WRT",
    "INDEX_WRT",
    "LABELS",
    "LOGITS",
    "PROBS",
    "WEIGHTS",
    "C",
    "N",
    "binary_labels",
    "indices",
    "shares",
    "softmax_options",
    "wrt_for",
]

N, C = 4, 7


def _confident(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Rows with one class 40 nats above the others."""
    x = r.uniform(-1, 1, shape)
    x[..., 0] += 40.0
    return x


def _thousands(r: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return r.choice([-1000.0, 1000.0], shape)


LOGITS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "scale 0.1": lambda r, s: 0.1 * r.normal(size=s),
    "scale 1": lambda r, s: r.normal(size=s),
    "scale 10": lambda r, s: 10 * r.normal(size=s),
    "scale 100": lambda r, s: 100 * r.normal(size=s),
    "offset 1e4": lambda r, s: 1e4 + 3 * r.normal(size=s),
    "confident": _confident,
    "thousands": _thousands,
    "all equal": lambda r, s: np.zeros(s),
}


def indices(r: np.random.Generator) -> Array:
    """Index labels, of which one is the confident class."""
    labels = r.integers(0, C, N)
    labels[0] = 0
    return labels


def shares(r: np.random.Generator, shape: tuple[int, ...] = (N, C)) -> Array:
    return r.dirichlet(np.ones(shape[-1]), shape[:-1])


LABELS: dict[str, Callable[[np.random.Generator], Array]] = {
    "index": indices,
    "one-hot": lambda r: np.eye(C)[indices(r)],
    "dense": shares,
}


PROBS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "uniform": lambda r, s: r.uniform(0.02, 0.98, s),
    "tiny": lambda r, s: 10 ** r.uniform(-30, -3, s),
    "nearly one": lambda r, s: 1 - 2.0 ** -r.integers(3, 23, s),
}


def binary_labels() -> dict[str, Array]:
    r = rng("binary labels")
    return {
        "hard": r.integers(0, 2, (N, C)).astype(np.float64),
        "soft": r.uniform(size=(N, C)),
        "bool": r.integers(0, 2, (N, C)).astype(bool),
    }


INDEX_WRT, DENSE_WRT = ("logits",), ("logits", "labels")


def wrt_for(labels: str, *more: str) -> tuple[str, ...]:
    """What to differentiate by: index labels have no gradient."""
    return ("logits", *(() if labels == "index" else ("labels",)), *more)


def softmax_options(r: np.random.Generator) -> dict[str, tuple[dict[str, Array], dict[str, Any]]]:
    """Each option of the softmax losses alone, and all of them."""
    keep = np.array([True, True, False, True, True, True, True])
    rows = r.integers(0, 3, (N, C)) > 0
    rows[:, :2] = True
    weight, each = r.uniform(0.5, 2, C), r.uniform(0.5, 2, N)
    few = np.array([True, False, True, True])
    single: dict[str, tuple[dict[str, Array], dict[str, Any]]] = {
        "class weight": ({"class_weight": weight}, {}),
        "class weight scalar": ({"class_weight": np.array(1.7)}, {}),
        "class weight zeros": ({"class_weight": np.array([0, 1, 0, 2, 1, 0, 0.5])}, {}),
        "class weight negative": ({"class_weight": r.normal(size=C)}, {}),
        "class mask": ({"class_mask": keep}, {}),
        "class mask rows": ({"class_mask": rows}, {}),
        "class mask column": ({"class_mask": keep[None, :]}, {}),
        "smoothing": ({}, {"label_smoothing": 0.1}),
        "smoothing whole": ({}, {"label_smoothing": 1.0}),
        "z-loss": ({}, {"z_loss": 1e-2}),
        "z-loss smoothing": ({}, {"z_loss": 1e-2, "label_smoothing": 0.3}),
        "sample weight": ({"sample_weight": each}, {}),
        "sample weight one": ({"sample_weight": each[:1]}, {}),
        "sample weight scalar": ({"sample_weight": np.array(0.7)}, {}),
        "sample weight zeros": ({"sample_weight": each * few}, {}),
        "where": ({"where": few}, {}),
        "where nothing": ({"where": np.array(False)}, {}),
        "mask and smoothing": ({"class_mask": keep}, {"label_smoothing": 0.25}),
        "weight and smoothing": ({"class_weight": weight}, {"label_smoothing": 0.25}),
    }
    single["everything"] = (
        {"class_weight": weight, "class_mask": keep, "sample_weight": each, "where": few},
        {"label_smoothing": 0.2, "z_loss": 0.02},
    )
    return single


WEIGHTS = ("class_weight", "sample_weight", "pos_weight", "alpha")
