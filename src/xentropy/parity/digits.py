"""Real logits: scikit-learn's handwritten digits under a linear classifier that is trained here."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import xentropy

__all__ = ["trained"]

Array: TypeAlias = npt.NDArray[Any]

_CONFIDENT = 2.0**-24
"""Half of the losses shall be smaller: there `1 - p` in float32 is 0 or one rounding."""
_STEPS = 2000
_RATE, _MOMENTUM = 2.0, 0.9


def trained() -> tuple[Array, Array, Array]:
    """Return features of 1797 digits, the weight of a class in each column, and labels.

    The classifier is trained until it is confident: descent along the library's own gradient,
    divided by the loss: the logits of a separable problem otherwise grow with the logarithm of the
    number of steps.

    Raises
    ------
    ModuleNotFoundError
        If scikit-learn is not installed.
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    features = np.c_[pixels / 16.0, np.ones(len(pixels))]
    loss_and_gradient = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    weight = np.zeros((features.shape[1], 10))
    speed = np.zeros_like(weight)
    logits = features @ weight
    for _ in range(_STEPS):
        losses, gradient = loss_and_gradient(logits, labels)
        if np.median(losses) < _CONFIDENT:
            break
        speed = _MOMENTUM * speed - _RATE / losses.sum() * (features.T @ gradient)
        weight = weight + speed
        logits = features @ weight
    return features, weight, labels
