"""JAX beside Optax, eager beside eager and compiled beside compiled."""

from __future__ import annotations

from dataclasses import replace

from xentropy.bench.case import Ask, Case, Run

from .shapes import LARGE, LITTLE, SMALL, beside_native, faster

__all__ = ["CASES"]

JITTED = Run(shape=LARGE, gradient=True, how="jit", reduction="mean")
DONATED = replace(JITTED, how="donated")

CASES = (
    beside_native("eager", "jax", Run(shape=LARGE), faster(10), memory=LITTLE),
    beside_native("eager", "jax", Run(shape=SMALL), faster(10)),
    beside_native("jit", "jax", JITTED, faster(1), memory=LITTLE),
    Case(
        "jit, donated logits beside logits kept, value_and_grad, 2048 x 32000",
        "jax",
        (DONATED, replace(JITTED, what="native")),
        faster(3),
        memory=LITTLE,
    ),
    beside_native("jit, both with donated logits", "jax", DONATED, Ask("none")),
    beside_native("jit", "jax", Run(shape=(512, 131072), how="jit"), faster(4), memory=LITTLE),
)
