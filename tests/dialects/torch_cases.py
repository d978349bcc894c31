"""Calls of the dialect torch, its originals, and the truth."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tests.dialects import torch_binary_cases as binary
from tests.dialects import torch_class_cases as a_class
from tests.dialects import torch_likelihood_cases as likelihood
from tests.dialects import torch_regression_cases as regression
from tests.dialects import torch_softmax_cases as softmax
from tests.dialects import torch_truth
from tests.dialects.case import Case
from tests.dialects.torch_original import CLASSES, ORIGINALS, original

__all__ = ["CASES", "ORIGINALS", "VERSION", "original", "truth"]

VERSION = "2.13.0"

CASES: list[Case] = [
    case
    for cases in (
        softmax.cross_entropy,
        softmax.nll_loss,
        softmax.linear_cross_entropy,
        binary.binary,
        binary.with_logits,
        binary.focal,
        binary.soft_margin,
        regression.regression,
        likelihood.kl_div,
        likelihood.poisson,
        likelihood.gaussian,
        a_class.classes,
    )
    for case in cases()
]


def truth(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """The same, in more digits."""
    name = CLASSES.get(case.function, case.function)
    options = {**_defaults(name), **case.options}
    if case.call:
        args = tuple(case.call.values())
    else:
        args = case.args
    if options.pop("size_average", None) is False:
        options["reduction"] = "sum"
    elif case.options.get("size_average") or options["reduction"] == "elementwise_mean":
        options["reduction"] = "mean"
    if options.pop("reduce", None) is False:
        options["reduction"] = "none"
    options = {k: _wide(x) for k, x in options.items()}
    return torch_truth.run(torch_truth.ALL[name], tuple(map(_wide, args)), options, case.wrt)


def _wide(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic)) and "float" in x.dtype.name:
        return x.astype(np.longdouble)
    return x


def _defaults(name: str) -> dict[str, Any]:
    from xentropy.dialects import torch as ours

    parameters = inspect.signature(getattr(ours, name)).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}
