"""What a benchmark puts beside the library's linear head, in the process of one framework."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.asserts import assert_within
from tests.cases import Array
from xentropy.bench import adapters, inputs
from xentropy.bench.case import LINEAR, How, Run, What

__all__ = ["check"]

HOW: dict[str, How] = {"jax": "jit"}
WAYS: dict[str, tuple[What, ...]] = {
    "torch": ("native", "chunked"),
    "tensorflow": ("native",),
    "jax": ("native", "chunked"),
}


def products(hidden: Array, weight: Array) -> tuple[Array, Array]:
    logits = hidden @ weight.T
    return logits @ weight, logits.T @ hidden


def check(name: str, rows: int) -> None:
    """The products have the shapes of the gradients; users' ways find the same as the library.

    Both are sums of as many terms as there are rows: an ulp of their size for each.
    """
    how = HOW.get(name, "eager")
    run = Run(loss=LINEAR, shape=(rows, 5, 7), gradient=True, how=how, reduction="mean")
    adapter, given = adapters.ADAPTERS[name](), inputs.make(run)
    exact = [x.astype(np.float64) for x in given.arrays[:2]]
    found = adapter.timed(replace(run, what="products"), given).once()
    sizes = products(*map(np.abs, exact))
    for got, want, size in zip(found, products(*exact), sizes, strict=True):
        assert_within(np.asarray(got), want, size, rows)
    value, gradients = adapter.timed(run, given).once()
    for what in WAYS.get(name, ()):
        other, others = adapter.timed(replace(run, what=what), given).once()
        for x, y in zip((value, *gradients), (other, *others), strict=True):
            got, want = np.asarray(x), np.asarray(y)
            assert_within(got, want, np.full(want.shape, np.abs(want).max()), rows)
