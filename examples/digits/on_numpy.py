"""The classifier in NumPy: the library's gradient by the logits, and the rest by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

import xentropy

from . import data
from .data import Floats, Labels, Weights

__all__ = ["train"]

value_and_grad = xentropy.value_and_grad(xentropy.cross_entropy)


def forward(weights: Weights, images: Floats) -> tuple[Floats, Floats]:
    """What the first layer makes of images, and the logits."""
    hidden = np.tanh(images @ weights["hidden"] + weights["hidden_bias"])
    return hidden, hidden @ weights["output"] + weights["output_bias"]


def step(weights: Weights, velocity: Weights, images: Floats, labels: Labels) -> float:
    """Move the weights; returns the loss before."""
    hidden, logits = forward(weights, images)
    loss, by_logits = value_and_grad(logits, labels, **data.OPTIONS)
    by_hidden = by_logits @ weights["output"].T * (1 - hidden**2)
    gradients = {
        "hidden": images.T @ by_hidden,
        "hidden_bias": by_hidden.sum(axis=0),
        "output": hidden.T @ by_logits,
        "output_bias": by_logits.sum(axis=0),
    }
    for name, gradient in gradients.items():
        velocity[name] = data.MOMENTUM * velocity[name] + gradient
        weights[name] -= data.RATE * velocity[name]
    return float(loss)


def train(batches: Iterable[data.Batch], images: Floats) -> tuple[list[float], Floats]:
    """Train from the initial weights; returns the loss of each step, and the logits of `images`."""
    weights = data.initial_weights()
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    losses = [step(weights, velocity, *batch) for batch in batches]
    return losses, forward(weights, images)[1]
