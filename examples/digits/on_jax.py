"""The classifier in JAX: functions of a dictionary of weights, compiled, and Optax."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import xentropy

from . import data
from .data import Floats

__all__ = ["train"]

Weights = dict[str, jax.Array]

OPTIMIZER = optax.sgd(data.RATE, momentum=data.MOMENTUM)


def forward(weights: Weights, images: jax.Array) -> jax.Array:
    """The logits."""
    hidden = jnp.tanh(images @ weights["hidden"] + weights["hidden_bias"])
    return hidden @ weights["output"] + weights["output_bias"]


def loss_of(weights: Weights, images: jax.Array, labels: jax.Array) -> jax.Array:
    """What is differentiated."""
    return xentropy.cross_entropy(forward(weights, images), labels, **data.OPTIONS)


@jax.jit
def step(weights: Weights, state: Any, images: jax.Array, labels: jax.Array) -> Any:
    """The loss, the weights after it, and what the optimizer remembers."""
    loss, gradients = jax.value_and_grad(loss_of)(weights, images, labels)
    updates, state = OPTIMIZER.update(gradients, state)
    return loss, optax.apply_updates(weights, updates), state


def train(batches: Iterable[data.Batch], images: Floats) -> tuple[list[float], Floats]:
    """Train from the initial weights; returns the loss of each step, and the logits of `images`."""
    jax.config.update("jax_enable_x64", True)  # type: ignore[no-untyped-call]
    weights = {name: jnp.asarray(w) for name, w in data.initial_weights().items()}
    state = OPTIMIZER.init(weights)
    losses = []
    for batch in batches:
        loss, weights, state = step(weights, state, *map(jnp.asarray, batch))
        losses.append(float(loss))
    return losses, np.asarray(forward(weights, jnp.asarray(images)))
