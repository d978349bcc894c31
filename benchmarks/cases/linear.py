"""The loss of a linear layer: beside its matrix products, all its logits, and chunks of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xentropy._types import Reduction
from xentropy.bench.case import LINEAR, Ask, Case, How, Run, What

from .shapes import faster, title, within

__all__ = ["CASES", "LONGEST"]

SHAPE = (2048, 512, 131072)
HOW: dict[str, How] = {"numpy": "eager", "torch": "eager", "tensorflow": "eager", "jax": "jit"}
MEMORY = 64e6 / Run(loss=LINEAR, shape=SHAPE).nbytes
"""64 MB, as a part of the logits."""


def mean(framework: str) -> Run:
    return Run(loss=LINEAR, shape=SHAPE, gradient=True, how=HOW[framework], reduction="mean")


def beside(
    name: str,
    framework: str,
    ours: Run,
    what: What,
    ask: Ask,
    *,
    options: Mapping[str, Any] | None = None,
    memory: float | None = None,
    alone: bool = False,
) -> Case:
    """Return a case of the library beside something else for the same layer."""
    base = replace(mean(framework), what=what, options=options or {})
    full = f"linear beside {name}, {title(ours, framework)}"
    return Case(full, framework, (ours, base), ask, memory=memory, alone=alone)


def beside_products(framework: str, reduction: Reduction, times: float) -> Case:
    """Return the case of a reduction; the products are those of any."""
    return beside(
        f"its three products, {reduction}",
        framework,
        replace(mean(framework), reduction=reduction),
        "products",
        within(times),
        memory=MEMORY if reduction in ("mean", "none") else None,
        alone=framework == "tensorflow" and reduction == "none",
    )


def in_a_graph() -> Case:
    """Return the case of ``tf.function``."""
    ours = replace(mean("tensorflow"), how="jit")
    name = "its three products, mean in a tf.function"
    rest: dict[str, Any] = {"memory": MEMORY, "alone": True}
    return beside(name, "tensorflow", ours, "products", within(1.1), **rest)


def beside_logits(framework: str) -> Case:
    return beside("all its logits, mean", framework, mean(framework), "native", faster(1))


def as_much_memory(framework: str) -> Case:
    """Return the case of as much memory as the logits take, as the framework takes at least."""
    ours = replace(mean(framework), options={"max_memory": mean(framework).nbytes})
    name = "all its logits, mean, max_memory of them"
    return beside(name, framework, ours, "native", faster(1))


def beside_chunks(name: str, framework: str, ask: Ask, **options: Any) -> Case:
    """Return the case of some rows at a time, whose memory is of interest too."""
    full, ours = f"{name}, mean", mean(framework)
    return beside(full, framework, ours, "chunked", ask, options=options, memory=MEMORY)


def loss_only(framework: str) -> Case:
    run = replace(mean(framework), gradient=False)
    alone = framework == "tensorflow"
    name = f"linear, mean, {title(run, framework)}"
    return Case(name, framework, (run,), memory=MEMORY, alone=alone)


def statistics(framework: str) -> Case:
    """Return the case of the log-probability, entropy and rank of each row."""
    run = replace(mean(framework), what="statistics", gradient=False, reduction="none")
    alone = framework == "tensorflow"
    name = f"linear statistics, {title(run, framework)}"
    return Case(name, framework, (run,), memory=MEMORY, alone=alone)


CASES = (
    beside_products("numpy", "mean", 1.1),
    beside_products("numpy", "sum", 1.1),
    beside_products("numpy", "partial", 1.1),
    beside_products("numpy", "none", 1.45),
    loss_only("numpy"),
    statistics("numpy"),
    beside_products("torch", "mean", 1.1),
    beside_products("torch", "sum", 1.1),
    beside_products("torch", "partial", 1.1),
    beside_products("torch", "none", 1.45),
    beside_logits("torch"),
    as_much_memory("torch"),
    beside_chunks(
        "F.linear_cross_entropy in chunks of 128 rows", "torch", Ask("none"), batch_chunk_size=128
    ),
    loss_only("torch"),
    statistics("torch"),
    beside_products("tensorflow", "mean", 1.1),
    beside_logits("tensorflow"),
    as_much_memory("tensorflow"),
    beside_products("tensorflow", "sum", 1.1),
    beside_products("tensorflow", "partial", 1.1),
    beside_products("tensorflow", "none", 1.45),
    in_a_graph(),
    loss_only("tensorflow"),
    statistics("tensorflow"),
    beside_products("jax", "mean", 1.1),
    beside_products("jax", "sum", 1.1),
    beside_products("jax", "partial", 1.1),
    beside_products("jax", "none", 1.45),
    beside_logits("jax"),
    as_much_memory("jax"),
    beside_chunks("optax in chunks of 256 rows", "jax", faster(1)),
    loss_only("jax"),
    statistics("jax"),
)
# Of its own accord it takes 4 rows at a time here, and most of a minute.
LONGEST = (beside_chunks("F.linear_cross_entropy in its own chunks", "torch", Ask("none")),)
