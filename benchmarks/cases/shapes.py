"""The shapes that the targets are given for, and what cases share."""

from __future__ import annotations

from dataclasses import replace

from xentropy.bench.case import Ask, Case, Run

__all__ = [
    "DENSE",
    "ELEMENTS",
    "LARGE",
    "LITTLE",
    "SMALL",
    "beside_native",
    "faster",
    "title",
    "within",
]

LARGE = (2048, 32000)
SMALL = (32, 10)
DENSE = ((4096, 1000), LARGE)
ELEMENTS = (10**7,)

LITTLE = 0.02
"""The part of the logits that a call may need beyond its arguments and its result."""


def faster(times: float) -> Ask:
    return Ask("faster", times)


def within(times: float) -> Ask:
    return Ask("within", times)


def title(run: Run, framework: str) -> str:
    """Return the shape and what is computed."""
    what = "forward"
    if run.gradient:
        what = "value_and_grad" if framework in ("numpy", "jax") else "forward + backward"
    return f"{what}, {' x '.join(map(str, run.shape))}"


def beside_native(
    name: str,
    framework: str,
    run: Run,
    ask: Ask,
    *,
    numba: bool = True,
    memory: float | None = None,
    alone: bool = False,
) -> Case:
    """Return a case of the library beside the framework's own op."""
    full = f"{name}, {title(run, framework)}"
    runs = (run, replace(run, what="native", options={}))
    return Case(full, framework, runs, ask, numba, memory, alone)
