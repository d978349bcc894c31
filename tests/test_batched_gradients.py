"""Gradients of many cotangents at once, as a framework's own Jacobians take them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import rng
from xentropy.testing import Harness

LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "cross_entropy": xentropy.softmax_cross_entropy,
    "kl_divergence": xentropy.kl_divergence,
    "focal": xentropy.softmax_focal_cross_entropy,
    "logsumexp": lambda x, t: xentropy.logsumexp(x),
    "log_softmax": lambda x, t: xentropy.log_softmax(x),
    "sigmoid": xentropy.sigmoid_cross_entropy,
    "sigmoid focal": xentropy.sigmoid_focal_cross_entropy,
    "huber": xentropy.huber,
}


@pytest.mark.parametrize("name", LOSSES)
def test_jacobians(harness: Harness, name: str) -> None:
    """Beside one cotangent after the other."""
    jacobian = harness.transforms.get("jacobian")
    if jacobian is None:
        pytest.skip("nothing to take it with: `Harness.transforms` has no jacobian")
    r = rng("jacobians")
    x, t = r.normal(size=(2, 3, 4)).astype(np.float32)
    labels = harness.array(np.abs(t) / 8)

    def f(x: Any) -> Any:
        return LOSSES[name](x, labels)

    got = harness.numpy(jacobian(f, harness.array(x)))
    shape = harness.numpy(f(harness.array(x))).shape
    for i, unit in enumerate(np.eye(int(np.prod(shape)), dtype=np.float32)):
        weight = harness.array(unit.reshape(shape))
        total = weighted(harness, f, weight)
        want = harness.numpy(harness.gradient(total, (harness.array(x),), (0,))[0])
        np.testing.assert_allclose(got.reshape(-1, 3, 4)[i], want, rtol=1e-5, atol=1e-7)


def weighted(harness: Harness, f: Callable[[Any], Any], weight: Any) -> Callable[[Any], Any]:
    """The sum of what a function returns, times weights."""
    xp = xentropy.backend_of(weight).xp
    return lambda x: xp.sum(f(x) * weight, axis=None, keepdims=False)
