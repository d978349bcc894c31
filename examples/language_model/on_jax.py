"""The model in JAX."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

import xentropy

from . import text

__all__ = ["train"]

Weights = dict[str, jax.Array]


def dense(hidden: jax.Array, weight: jax.Array, labels: jax.Array) -> jax.Array:
    """The loss of logits that are held."""
    return xentropy.cross_entropy(hidden @ weight.T, labels, reduction="mean")


def linear(hidden: jax.Array, weight: jax.Array, labels: jax.Array) -> jax.Array:
    """The same loss without them."""
    return xentropy.linear_cross_entropy(hidden, weight, labels, reduction="mean")


def train(head: str, batches: Iterable[text.Batch]) -> Iterator[float]:
    """Train from the initial weights; yields the loss of each step."""
    loss = {"dense": dense, "linear": linear}[head]

    def value(weights: Weights, context: jax.Array, following: jax.Array) -> jax.Array:
        embedded = weights["embedding"][context].reshape(len(context), -1)
        hidden = jnp.tanh(embedded @ weights["mixing"])
        return loss(hidden, weights["embedding"], following)

    @jax.jit
    def step(weights: Weights, context: jax.Array, following: jax.Array) -> tuple[Any, Weights]:
        found, gradients = jax.value_and_grad(value)(weights, context, following)
        return found, jax.tree.map(lambda w, g: w - text.RATE * g, weights, gradients)

    weights = {k: jnp.asarray(w) for k, w in text.initial_weights().items()}
    for context, following in batches:
        found, weights = step(weights, jnp.asarray(context), jnp.asarray(following))
        yield float(found)
