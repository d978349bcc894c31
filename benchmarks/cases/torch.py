"""PyTorch, eager, beside `torch.nn.functional`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xentropy.bench.case import Case, Run

from .shapes import DENSE, ELEMENTS, LARGE, LITTLE, SMALL, beside_native, faster, title, within

__all__ = ["CASES"]

OPTIONS: dict[str, Mapping[str, Any]] = {
    "label_smoothing": {"label_smoothing": 0.1},
    "class_weight": {"class_weight": "random"},
    "z_loss": {"z_loss": 1e-4},
    "ignore_index": {"ignore_index": -100},
}


def mean(shape: tuple[int, ...], gradient: bool, loss: str = "sparse_softmax_cross_entropy") -> Run:
    """Return what a user of `F.cross_entropy` computes."""
    return Run(loss=loss, shape=shape, gradient=gradient, reduction="mean")


def with_option(name: str, gradient: bool) -> Case:
    plain = mean(LARGE, gradient)
    runs = (replace(plain, options=OPTIONS[name]), plain)
    return Case(f"{name} beside none, {title(plain, 'torch')}", "torch", runs, within(1.2))


CASES = (
    beside_native("sparse softmax", "torch", mean(LARGE, False), faster(6), memory=LITTLE),
    beside_native("sparse softmax", "torch", mean(LARGE, True), faster(9), memory=LITTLE),
    *(with_option(name, gradient) for name in OPTIONS for gradient in (False, True)),
    *(
        beside_native("dense labels", "torch", mean(s, g, "softmax_cross_entropy"), faster(3))
        for s in DENSE
        for g in (False, True)
    ),
    *(
        beside_native("sigmoid", "torch", mean(ELEMENTS, g, "sigmoid_cross_entropy"), faster(4))
        for g in (False, True)
    ),
    *(
        beside_native(loss, "torch", Run(loss=loss, shape=LARGE, gradient=g), faster(3))
        for loss in ("kl_divergence", "log_softmax", "logsumexp")
        for g in (False, True)
    ),
    beside_native("small, none", "torch", Run(shape=SMALL), within(1.1)),
    beside_native("small, mean", "torch", mean(SMALL, False), within(1.1)),
    beside_native("small, mean", "torch", mean(SMALL, True), within(1.1)),
    *(
        beside_native(
            "small without Numba, mean", "torch", mean(SMALL, g), within(2.5), numba=False
        )
        for g in (False, True)
    ),
)
