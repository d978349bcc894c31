"""The classifier in TensorFlow: a module, a tape in a graph, and an optimizer of Keras."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

import xentropy

from . import data
from .data import Floats

__all__ = ["train"]


class Classifier(tf.Module):  # type: ignore[misc]
    """Two layers with the initial weights."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = {name: tf.Variable(w) for name, w in data.initial_weights().items()}

    def __call__(self, images: Any) -> Any:
        """The logits."""
        weights = self.weights
        hidden = tf.tanh(images @ weights["hidden"] + weights["hidden_bias"])
        return hidden @ weights["output"] + weights["output_bias"]


def step(classifier: Classifier, optimizer: Any, images: Any, labels: Any) -> Any:
    """Move the weights; returns the loss before."""
    with tf.GradientTape() as tape:
        loss = xentropy.cross_entropy(classifier(images), labels, **data.OPTIONS)
    weights = classifier.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    return loss


def train(batches: Iterable[data.Batch], images: Floats) -> tuple[list[float], Floats]:
    """Train from the initial weights; returns the loss of each step, and the logits of `images`."""
    classifier = Classifier()
    optimizer = tf.keras.optimizers.SGD(data.RATE, momentum=data.MOMENTUM)
    optimizer.build(classifier.trainable_variables)
    compiled = tf.function(step)
    losses = [float(compiled(classifier, optimizer, *map(tf.constant, batch))) for batch in batches]
    logits: Floats = classifier(images).numpy()
    return losses, logits
