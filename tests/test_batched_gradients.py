"""Gradients of many cotangents at once, as Jacobians take them, and of maps over many calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import need_dtype, rng
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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", LOSSES)
def test_jacobians(harness: Harness, name: str, dtype: str) -> None:
    """Beside one cotangent after the other."""
    need_dtype(harness, dtype)
    jacobian = harness.transforms.get("jacobian")
    if jacobian is None:
        pytest.skip("nothing to take it with: `Harness.transforms` has no jacobian")
    r = rng("jacobians")
    x, t = r.normal(size=(2, 3, 4)).astype(dtype)
    labels = harness.array(np.abs(t) / 8)

    def f(x: Any) -> Any:
        return LOSSES[name](x, labels)

    got = harness.numpy(jacobian(f, harness.array(x)))
    shape = harness.numpy(f(harness.array(x))).shape
    for i, unit in enumerate(np.eye(int(np.prod(shape)), dtype=dtype)):
        weight = harness.array(unit.reshape(shape))
        total = weighted(harness, f, weight)
        want = harness.numpy(harness.gradient(total, (harness.array(x),), (0,))[0])
        np.testing.assert_allclose(got.reshape(-1, 3, 4)[i], want, rtol=1e-5, atol=1e-7)


def weighted(harness: Harness, f: Callable[[Any], Any], weight: Any) -> Callable[[Any], Any]:
    """The sum of what a function returns, times weights."""
    xp = xentropy.backend_of(weight).xp
    return lambda x: xp.sum(f(x) * weight, axis=None, keepdims=False)


@pytest.mark.parametrize("wrt", ["logits", "class_weight", "sample_weight"])
def test_a_gradient_of_a_map(harness: Harness, wrt: str) -> None:
    """Beside that of all calls in one, by what each has of its own and by what they share."""
    vmap = harness.transforms.get("vmap")
    if vmap is None:
        pytest.skip("nothing to map with: `Harness.transforms` has no vmap")
    r = rng("maps")
    given = {
        "logits": r.normal(size=(3, 2, 4)),
        "class_weight": r.uniform(1, 2, 4),
        "sample_weight": r.uniform(1, 2, (3, 2)),
    }
    arrays = {name: harness.array(x.astype(np.float32)) for name, x in given.items()}
    labels = harness.array(r.integers(0, 4, (3, 2)))
    xp = xentropy.backend_of(labels).xp

    def at_once(logits: Any, labels: Any, q: Any, s: Any) -> Any:
        return xentropy.cross_entropy(logits, labels, class_weight=q, sample_weight=s)

    def mapped(x: Any, y: Any, q: Any, s: Any) -> Any:
        return vmap(lambda x, y, s: at_once(x, y, q, s))(x, y, s)

    def gradient(f: Any) -> Any:
        def total(x: Any) -> Any:
            moved = {**arrays, wrt: x}
            y = f(moved["logits"], labels, moved["class_weight"], moved["sample_weight"])
            return xp.sum(y, axis=None, keepdims=False)

        return harness.numpy(harness.gradient(total, (arrays[wrt],), (0,))[0])

    np.testing.assert_allclose(gradient(mapped), gradient(at_once), rtol=1e-5)
