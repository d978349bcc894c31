"""Losses with a parameter that is an array, by which they have a derivative as well."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from . import regression, sigmoid, softmax
from .formula import Formula, Role
from .numeric import logistic, times

__all__ = ["focal_by_gamma", "huber_by_delta", "poly_by_epsilon"]


def _huber(xp: Namespace, *, delta: Any, **arrays: Any) -> Any:
    return regression.huber.value(xp, delta=delta, sample_weight=None, keep=None, **arrays)


def _huber_partials(
    xp: Namespace, wrt: tuple[str, ...], *, delta: Any, **arrays: Any
) -> dict[str, Any]:
    outer = tuple(name for name in wrt if name != "delta")
    options = {"delta": delta, "sample_weight": None, "keep": None}
    found = dict(regression.huber.partials(xp, outer, **options, **arrays))
    if "delta" in wrt:
        a = xp.abs(arrays["predictions"] - arrays["targets"])
        found["delta"] = xp.where(a <= delta, 0.0, a - delta)
    return found


def _focal(xp: Namespace, *, gamma: Any, **arrays: Any) -> Any:
    options = {"smoothing": None, "sample_weight": None, "keep": None}
    return sigmoid.focal.value(xp, gamma=gamma, **options, **arrays)


def _focal_partials(
    xp: Namespace, wrt: tuple[str, ...], *, gamma: Any, **arrays: Any
) -> dict[str, Any]:
    outer = tuple(name for name in wrt if name != "gamma")
    options = {"gamma": gamma, "smoothing": None, "sample_weight": None, "keep": None}
    found = dict(sigmoid.focal.partials(xp, outer, **options, **arrays))
    if "gamma" in wrt:
        unit, t = logistic(xp, arrays["logits"]), arrays["labels"]
        miss = t * unit.q + (1.0 - t) * unit.p
        log = xp.log(xp.where(miss == 0, 1.0, miss))
        found["gamma"] = times(xp, _focal(xp, gamma=gamma, **arrays), log)
    return found


def _poly(xp: Namespace, *, epsilon: Any, **arrays: Any) -> Any:
    return softmax.poly_dense.value(xp, epsilon=epsilon, **_PLAIN, **arrays)


def _poly_partials(
    xp: Namespace, wrt: tuple[str, ...], *, epsilon: Any, **arrays: Any
) -> dict[str, Any]:
    outer = tuple(name for name in wrt if name != "epsilon")
    found = dict(softmax.poly_dense.partials(xp, outer, epsilon=epsilon, **_PLAIN, **arrays))
    if "epsilon" in wrt:
        found["epsilon"] = softmax.miss_dense.value(xp, **_PLAIN, **arrays)
    return found


_PLAIN = {"class_weight": None, "smoothing": None, "z_loss": None, "sample_weight": None}
_PAIR: dict[str, Role] = {"predictions": "elements", "targets": "elements"}
_UNITS: dict[str, Role] = {"logits": "elements", "labels": "elements", "alpha": "elements"}
huber_by_delta = Formula(
    "huber_by_delta", {**_PAIR, "delta": "elements"}, "none", _huber, _huber_partials
)
focal_by_gamma = Formula(
    "sigmoid_focal_by_gamma", {**_UNITS, "gamma": "elements"}, "none", _focal, _focal_partials
)
poly_by_epsilon = Formula(
    "poly_by_epsilon",
    {
        "logits": "elements",
        "labels": "elements",
        "epsilon": "examples",
        "class_mask": "constant",
        "keep": "constant",
    },
    "axis",
    _poly,
    _poly_partials,
)
