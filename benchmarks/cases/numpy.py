"""NumPy beside SciPy, beside reading and copying the logits, and beside itself."""

from __future__ import annotations

from dataclasses import replace

from xentropy.bench.case import Ask, Case, Run

from .shapes import DENSE, ELEMENTS, LARGE, LITTLE, beside_native, faster, within

__all__ = ["CASES"]

SPARSE = Run(shape=LARGE)
BOTH = Run(shape=LARGE, gradient=True)

# 4 GB of logits: the same shapes are 10**3 to 10**6 classes and 10**6 to 10**3 rows.
MANY = 10**9
# With the gradients as much again, so fewer.
FEWER = 10**8
POWERS = (10**3, 10**4, 10**5, 10**6)


def growth(elements: int, gradient: bool, by: str) -> Case:
    if by == "classes":
        shapes = [(elements // classes, classes) for classes in POWERS]
    else:
        shapes = [(rows, elements // rows) for rows in POWERS]
    runs = tuple(Run(shape=shape, gradient=gradient) for shape in shapes)
    what = "value_and_grad" if gradient else "forward"
    name = f"growth, {what}, 1000 to 1000000 {by}, {elements:.0e} logits".replace("e+0", "e")
    return Case(name, "numpy", runs, Ask("even", 1.25))


def threads(gradient: bool) -> Case:
    # Float64 of the size of a cache: the memory is not the limit.
    shared = Run(shape=(2048, 1000), dtype="float64", gradient=gradient)
    two, one = (replace(shared, threads=n) for n in (2, 1))
    name = f"two threads, {'value_and_grad' if gradient else 'forward'}, float64 2048 x 1000"
    return Case(name, "numpy", (two, one), faster(1.6))


CASES = (
    beside_native("sparse softmax", "numpy", SPARSE, faster(9), memory=LITTLE),
    Case(
        "sparse softmax beside x.max(), forward, 2048 x 32000",
        "numpy",
        (SPARSE, Run("max", shape=LARGE)),
        within(1.4),
    ),
    Case(
        "sparse softmax beside x.copy(), value_and_grad, 2048 x 32000",
        "numpy",
        (BOTH, Run("copy", shape=LARGE)),
        faster(1),
        memory=LITTLE,
    ),
    beside_native(
        "sparse softmax without Numba", "numpy", SPARSE, faster(4), numba=False, memory=LITTLE
    ),
    *(
        beside_native(
            "dense labels",
            "numpy",
            Run(loss="softmax_cross_entropy", shape=shape),
            faster(3),
        )
        for shape in DENSE
    ),
    *(
        beside_native(
            "sigmoid",
            "numpy",
            Run(loss="sigmoid_cross_entropy", shape=ELEMENTS, gradient=gradient),
            faster(4),
        )
        for gradient in (False, True)
    ),
    growth(FEWER, True, "classes"),
    growth(FEWER, True, "rows"),
    growth(MANY, False, "classes and rows"),
    threads(False),
    threads(True),
)
