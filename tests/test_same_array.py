"""One array in two places of a call: its gradient is the sum of both, however the call runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_within
from tests.cases import own_gradient, rng
from xentropy.parity import compare
from xentropy.testing import Harness

CALLS: dict[str, Any] = {
    "entropy": xentropy.categorical_cross_entropy,
    "kl_divergence": xentropy.kl_divergence,
    "squared_error": lambda x, y: xentropy.squared_error(2.0 * x, y, sample_weight=y),
    "weighted by itself": lambda x, y: xentropy.squared_error(x, 3.0, sample_weight=y),
    "linear_cross_entropy": lambda x, y: xentropy.linear_cross_entropy(x, y, [0, 2, 3, 1]),
}


@pytest.mark.parametrize("name", CALLS)
def test_gradient(harness: Harness, mode: str, name: str) -> None:
    p = rng("same array").uniform(0.1, 0.3, (4, 5)).astype(np.float32)
    call, x, copy = CALLS[name], harness.array(p), harness.array(p.copy())
    both = own_gradient(harness, call, {"x": x, "y": copy}, ("x", "y"))
    if not both:
        pytest.skip("gradients are by argument")
    f = harness.quick(mode)(lambda x: call(x, x))
    found = own_gradient(harness, f, {"x": x}, ("x",))["x"]
    # Of a layer an entry is a sum of terms as large as the largest.
    scale = np.full_like(found, (np.abs(both["x"]) + np.abs(both["y"])).max())
    assert_within(found, both["x"].astype(np.float64) + both["y"], scale, compare.GRADIENT)
