"""The model in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

import xentropy

from . import text

__all__ = ["train"]


def dense(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The loss of logits that are held."""
    return xentropy.cross_entropy(hidden @ weight.T, labels, reduction="mean")


def linear(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The same loss without them."""
    return xentropy.linear_cross_entropy(hidden, weight, labels, reduction="mean")


def train(head: str, batches: Iterable[text.Batch]) -> Iterator[float]:
    """Train from the initial weights; yields the loss of each step."""
    loss = {"dense": dense, "linear": linear}[head]
    weights = {k: torch.tensor(w, requires_grad=True) for k, w in text.initial_weights().items()}
    optimizer = torch.optim.SGD(weights.values(), lr=text.RATE)
    for context, following in batches:
        embedded = weights["embedding"][torch.from_numpy(context)].flatten(1)
        hidden = torch.tanh(embedded @ weights["mixing"])
        value = loss(hidden, weights["embedding"], torch.from_numpy(following))
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        yield value.item()
