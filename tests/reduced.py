"""The truth of reduced losses: their values and gradients, each with its scale."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tests.cases import Array, Case
from tests.oracle_calls import exact
from xentropy.parity import oracle
from xentropy.parity.oracle import mp

__all__ = ["DENOMINATORS", "reduced"]

DENOMINATORS = {"sum": None, "mean": None, "denominator": 1536.0}


def _weight_slope(case: Case, dtype: str, name: str) -> Array:
    """Return the gradient of the sum of the weights, which is linear in every argument."""
    at = exact(case.inputs(dtype)[name])

    def weight(replaced: Array) -> Any:
        truth = case.truth(dtype, **{name: replaced})
        return sum(truth.weight.reshape(-1).tolist(), mp.zero)

    slope, before = np.empty_like(at), weight(at)
    for i in np.ndindex(at.shape):
        bumped = at.copy()
        bumped[i] = at[i] + 1
        slope[i] = weight(bumped) - before
    return slope


@functools.cache
def reduced(
    case: Case, dtype: str, reduction: str
) -> tuple[Any, Any, dict[str, Array], dict[str, Array]]:
    """Return the true reduced loss and gradients, each with its scale."""
    truth = case.truth(dtype)
    total, size = (
        sum(np.asarray(v).reshape(-1).tolist(), mp.zero) for v in (truth.value, truth.value_scale)
    )
    if reduction == "sum":
        return total, size, truth.grads, truth.grad_scales
    fixed = DENOMINATORS[reduction]
    value = oracle.reduce(truth, "mean", fixed)
    weight = sum(truth.weight.reshape(-1).tolist(), mp.zero) if fixed is None else mp.mpf(fixed)
    if weight == 0:
        zeros = {name: g * 0 for name, g in truth.grads.items()}
        return value, value, zeros, zeros
    grads, scales = {}, {}
    for name in case.wrt:
        moves = fixed is None and name in ("sample_weight", "class_weight", "labels")
        slope = _weight_slope(case, dtype, name) if moves else truth.grads[name] * 0
        grads[name] = (truth.grads[name] - value * slope) / weight
        scales[name] = (truth.grad_scales[name] + size / weight * np.abs(slope)) / weight
    return value, size / weight, grads, scales
