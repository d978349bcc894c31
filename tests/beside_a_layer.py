"""What a benchmark puts beside the library's linear head, in the process of one framework."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xentropy.bench import adapters, inputs
from xentropy.bench.case import LINEAR, How, Run, What

__all__ = ["check"]

HOW: dict[str, How] = {"jax": "jit"}
WAYS: dict[str, tuple[What, ...]] = {
    "torch": ("native", "chunked"),
    "tensorflow": ("native",),
    "jax": ("native", "chunked"),
}


def check(name: str, rows: int) -> None:
    """The products have the shapes of the gradients; users' ways find the same as the library."""
    how = HOW.get(name, "eager")
    run = Run(loss=LINEAR, shape=(rows, 5, 7), gradient=True, how=how, reduction="mean")
    adapter, given = adapters.ADAPTERS[name](), inputs.make(run)
    hidden, weight, _ = given.arrays
    logits = hidden @ weight.T
    by_hidden, by_weight = adapter.timed(replace(run, what="products"), given).once()
    np.testing.assert_allclose(np.asarray(by_hidden), logits @ weight, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(np.asarray(by_weight), logits.T @ hidden, rtol=1e-3, atol=1e-3)
    value, gradients = adapter.timed(run, given).once()
    for what in WAYS.get(name, ()):
        other, others = adapter.timed(replace(run, what=what), given).once()
        for x, y in zip((value, *gradients), (other, *others), strict=True):
            np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=1e-4, atol=1e-6)
