"""TensorFlow, eager, beside `tf.nn`."""

from __future__ import annotations

from xentropy.bench.case import Case, Run

from .shapes import DENSE, ELEMENTS, LARGE, LITTLE, SMALL, beside_native, faster, within

__all__ = ["CASES"]


def sparse(gradient: bool, times: float) -> Case:
    run = Run(shape=LARGE, gradient=gradient)
    asked = faster(times)
    return beside_native("sparse softmax", "tensorflow", run, asked, memory=LITTLE, alone=True)


CASES = (
    sparse(False, 9),
    sparse(True, 5),
    *(
        beside_native(
            "dense labels",
            "tensorflow",
            Run(loss="softmax_cross_entropy", shape=shape, gradient=gradient),
            faster(3),
        )
        for shape in DENSE
        for gradient in (False, True)
    ),
    *(
        beside_native(
            "sigmoid",
            "tensorflow",
            Run(loss="sigmoid_cross_entropy", shape=ELEMENTS, gradient=gradient),
            faster(4),
        )
        for gradient in (False, True)
    ),
    beside_native("small", "tensorflow", Run(shape=SMALL), within(1.5)),
    beside_native("small", "tensorflow", Run(shape=SMALL, gradient=True), within(1.1)),
    *(
        beside_native(
            "small without Numba",
            "tensorflow",
            Run(shape=SMALL, gradient=gradient),
            within(2.5),
            numba=False,
        )
        for gradient in (False, True)
    ),
)
