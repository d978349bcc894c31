"""What all frameworks share: images, batches, initial weights, and the options of the loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

__all__ = [
    "CLASSES",
    "MOMENTUM",
    "OPTIONS",
    "PIXELS",
    "RATE",
    "STEPS",
    "WIDTH",
    "Batch",
    "Digits",
    "Floats",
    "Labels",
    "Weights",
    "initial_weights",
    "load",
]

PIXELS, WIDTH, CLASSES = 64, 32, 10
STEPS, RATE, MOMENTUM = 200, 0.125, 0.875
"""Keras reads the last two as float32, whatever it trains: these are the same in float64."""
_BATCH, _TRAINED_ON = 64, 1297
_UNLABELED, _UNKNOWN = 0.1, -100
_SEED = 0

Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]
Batch = tuple[Floats, Labels]
Weights = dict[str, Floats]

OPTIONS: dict[str, Any] = {
    "class_weight": np.linspace(0.5, 2.0, CLASSES),
    "ignore_index": _UNKNOWN,
    "label_smoothing": 0.1,
    "z_loss": 1e-3,
    "reduction": "mean",
}
"""Late digits count more than early ones, and some have no label."""


class Digits(NamedTuple):
    """The batches of a training, and the images and labels that it never sees."""

    batches: list[Batch]
    images: Floats
    labels: Labels


def load(steps: int = STEPS) -> Digits:
    """The images in a random order, one in ten of those to train on without its label."""
    rng = np.random.default_rng(_SEED)
    images, labels = load_digits(return_X_y=True)
    order = rng.permutation(len(labels))
    images, labels = images[order] / 16, labels[order].astype(np.int64)
    known = np.where(rng.random(_TRAINED_ON) < _UNLABELED, _UNKNOWN, labels[:_TRAINED_ON])
    rows = rng.integers(0, _TRAINED_ON, (steps, _BATCH))
    batches = [(images[chosen], known[chosen]) for chosen in rows]
    return Digits(batches, images[_TRAINED_ON:], labels[_TRAINED_ON:])


def initial_weights() -> Weights:
    """Two layers, in the order in which they are applied."""
    rng = np.random.default_rng(_SEED)
    return {
        "hidden": rng.standard_normal((PIXELS, WIDTH)) / np.sqrt(PIXELS),
        "hidden_bias": np.zeros(WIDTH),
        "output": rng.standard_normal((WIDTH, CLASSES)) / np.sqrt(WIDTH),
        "output_bias": np.zeros(CLASSES),
    }
