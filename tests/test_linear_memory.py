"""The memory of a linear head in every way of PyTorch, beyond its arguments and results.

`tests/test_linear_kernels.py` counts that of NumPy.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import rng, single
from xentropy.bench import memory
from xentropy.bench.timing import Timed

ROWS, CLASSES, FEATURES = 384, 2**13, 64
MOST, WEIGHT = 2**22, 4 * CLASSES * FEATURES


def loss(hidden: Any, weight: Any, labels: Any, **rest: Any) -> Any:
    given = (hidden, weight, labels)
    return xentropy.linear_cross_entropy(*given, reduction="sum", max_memory=MOST, **rest)


def statistics(hidden: Any, weight: Any, labels: Any) -> Any:
    names = ("log_prob", "entropy", "logsumexp")
    given = (hidden, weight, labels)
    found = xentropy.linear_softmax_statistics(*given, outputs=names, max_memory=MOST)
    return sum(x.sum() for x in found)


def gradient(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
    return torch.autograd.grad(f(x, w, y), (x, w))


def by_class_weight(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    c = torch.ones(len(w)).requires_grad_()
    return torch.autograd.grad(f(x, w, y, class_weight=c), c)


def again(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    x, w = x.detach().requires_grad_(), w.detach().requires_grad_()
    grads = torch.autograd.grad(f(x, w, y), (x, w), create_graph=True)
    return (*grads, *torch.autograd.grad(grads, (x, w), (x.detach(), w.detach())))


def jvp(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    return torch.func.jvp(lambda x, w: f(x, w, y), (x, w), (x, w))


def jvp_of_gradient(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    grads = torch.func.grad(f, (0, 1))
    values, tangents = torch.func.jvp(lambda x, w: grads(x, w, y), (x, w), (x, w))
    return (*values, *tangents)


def vmap(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    x, y = x.reshape(2, -1, x.shape[1]), y.reshape(2, -1)
    return torch.func.vmap(f, (0, None, 0))(x, w, y)


def vmap_of_gradient(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    return vmap(torch, torch.func.grad(f), x, w, y)


def value(torch: Any, f: Any, x: Any, w: Any, y: Any) -> Any:
    return f(x, w, y)


WAYS = [
    *((way, f) for f in (loss, statistics) for way in (value, gradient, again, jvp, vmap)),
    (by_class_weight, loss),
    (vmap_of_gradient, loss),
    (jvp_of_gradient, loss),
]


def test_the_backward_pass_lets_go_of_the_features(torch: Any) -> None:
    """Where the graph is not retained, though the loss is still there."""
    x = single(rng("features").normal(size=(ROWS, FEATURES)))
    memory, w = weakref.ref(x), torch.ones(9, FEATURES).requires_grad_()
    total = loss(torch.from_numpy(x), w, torch.zeros(ROWS, dtype=torch.int64))
    del x
    total.backward(retain_graph=True)
    assert memory() is not None
    once = w.grad.clone()
    total.backward()
    assert torch.equal(w.grad, 2 * once)
    assert memory() is None


@pytest.mark.parametrize(("way", "f"), WAYS, ids=lambda f: f.__name__)
def test_memory_is_bounded(torch: Any, way: Callable[..., Any], f: Any) -> None:
    """Less than the logits of all rows; beside what is allowed, code that is loaded counts, too."""
    r = rng("memory")
    x, w = (single(r.normal(size=(n, FEATURES))) for n in (ROWS, CLASSES))
    y = torch.tensor(r.integers(0, CLASSES, ROWS))
    x, w = torch.tensor(x), torch.tensor(w / np.float32(8))
    way(torch, f, x[:2], w[:9], y[:2] % 9)
    found = memory.beyond(Timed(lambda: way(torch, f, x, w, y)))
    if found is None:
        pytest.skip("the system keeps no high-water mark")
    assert found <= 2 * MOST + WEIGHT
