"""Logits drawn at random, and a loss of them, for laws that hold for any input."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import xentropy
from tests.cases import Array
from xentropy.testing import Harness

__all__ = ["SHARES", "C", "N", "call", "draw_logits", "few", "give", "seeds"]

N, C = 6, 5
SHARES = np.ones(C)

few = settings(
    derandomize=True,
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""A compiler takes part of a second for every new combination of options."""

seeds = st.integers(0, 2**32 - 1)


def draw_logits(seed: int, shape: tuple[int, ...] = (N, C)) -> tuple[np.random.Generator, Array]:
    """Return random numbers, and logits of a random scale."""
    r = np.random.default_rng(seed)
    return r, (10 ** r.uniform(-1, 1.5) * r.normal(size=shape)).astype(np.float32)


def give(harness: Harness, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, their arrays as those of the framework."""
    return {k: harness.array(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}


def call(
    harness: Harness, loss: str, x: Array, t: Any, options: dict[str, Any], wrt: str | int = 0
) -> tuple[Array, Array]:
    """Return the loss and its gradient, arrays passed as those of the framework."""
    f = xentropy.value_and_grad(getattr(xentropy, loss), wrt)
    value, grad = f(harness.array(x), harness.array(t), **give(harness, options))
    return harness.numpy(value), harness.numpy(grad)
