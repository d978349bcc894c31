"""What the picture shows: time against the number of classes, on all frameworks."""

from __future__ import annotations

from dataclasses import replace

from xentropy.bench.case import Case, How, Run

__all__ = ["CASES", "ROWS"]

ROWS = 64
CLASSES = tuple(round(10 ** (half / 2)) for half in range(2, 13))
FRAMEWORKS: dict[str, How] = {
    "numpy": "eager",
    "torch": "eager",
    "tensorflow": "eager",
    "jax": "jit",
}


def point(framework: str, classes: int, gradient: bool) -> Case:
    ours = Run(shape=(ROWS, classes), gradient=gradient, how=FRAMEWORKS[framework])
    if gradient and framework in ("torch", "jax"):
        ours = replace(ours, reduction="mean")
    what = "forward + gradient" if gradient else "forward"
    runs = (ours, replace(ours, what="native"))
    return Case(f"picture, {what}, {ROWS} x {classes}", framework, runs)


CASES = tuple(
    point(framework, classes, gradient)
    for framework in FRAMEWORKS
    for classes in CLASSES
    for gradient in (False, True)
)
