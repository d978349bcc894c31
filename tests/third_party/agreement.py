"""Every loss, value and gradient, on the third party's arrays against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import CASES
from tests.third_party import tiny
from xentropy.parity import compare
from xentropy.testing import Harness

__all__ = ["check_all_losses"]


class _Tiny(Harness):
    def array(self, x: Any) -> Any:
        return tiny.Array(x)

    def numpy(self, x: Any) -> Any:
        assert isinstance(x, tiny.Array)
        return x.values


def check_all_losses() -> set[str]:
    """Compare one case of each loss; returns the names of the losses."""
    harness = _Tiny("tiny")
    first = {case.loss: case for case in reversed(CASES)}
    for case in first.values():
        value, grads = case.value_and_grads(harness, "float64")
        truth, bound = case.truth("float64"), compare.bound(case.loss, case.options)
        pairs = [(value, truth.value, truth.value_scale, bound.value)]
        for name, grad in grads.items():
            most = bound.gradient_in("float64")
            pairs.append((grad, truth.grads[name], truth.grad_scales[name], most))
        for got, want, scale, most in pairs:
            errors = compare.ulp_errors(harness.numpy(got), want, scale, "float64")
            assert np.max(errors, initial=0) <= most, f"{case.loss}: {errors}"
    return set(first)
