"""What PyTorch holds of the predictions after a backward pass, while the loss is still there."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import rng, single


def predicted(torch: Any, made: list[np.ndarray[Any, Any]], weight: Any) -> Any:
    """A tensor on the memory of an array, which it takes, as if a layer had made it."""

    class Layer(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, weight: Any) -> Any:
            return torch.from_numpy(made.pop())

        @staticmethod
        def backward(ctx: Any, cotangent: Any) -> Any:
            return cotangent.sum()

    return Layer.apply(weight)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"z_loss": 0.1}], ids=str)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_nothing_is_held(torch: Any, options: dict[str, Any], reduction: Any) -> None:
    """Unless the graph is retained; then a second pass finds the same."""
    made = [single(rng("held").normal(size=(64, 50)))]
    weight, memory = torch.ones(()).requires_grad_(), weakref.ref(made[0])
    logits, labels = predicted(torch, made, weight), torch.zeros(64, dtype=torch.int64)
    loss = xentropy.cross_entropy(logits, labels, reduction=reduction, **options).sum()
    del logits
    loss.backward(retain_graph=True)
    once = weight.grad.clone()
    assert memory() is not None
    loss.backward()
    assert torch.equal(weight.grad, 2 * once)
    assert memory() is None
