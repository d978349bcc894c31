"""The classifier in PyTorch: a module and its optimizer."""

from __future__ import annotations

from collections.abc import Iterable

import torch

import xentropy

from . import data
from .data import Floats

__all__ = ["train"]


def initial() -> torch.nn.Module:
    """Two layers with the initial weights; PyTorch holds a matrix the other way round."""
    layers = (
        torch.nn.Linear(data.PIXELS, data.WIDTH),
        torch.nn.Tanh(),
        torch.nn.Linear(data.WIDTH, data.CLASSES),
    )
    classifier = torch.nn.Sequential(*layers).double()
    with torch.no_grad():
        weights = data.initial_weights().values()
        for parameter, w in zip(classifier.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(w.T))
    return classifier


def step(
    classifier: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    """Move the weights; returns the loss before."""
    loss = xentropy.cross_entropy(classifier(images), labels, **data.OPTIONS)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def train(batches: Iterable[data.Batch], images: Floats) -> tuple[list[float], Floats]:
    """Train from the initial weights; returns the loss of each step, and the logits of `images`."""
    classifier = initial()
    optimizer = torch.optim.SGD(classifier.parameters(), lr=data.RATE, momentum=data.MOMENTUM)
    losses = [step(classifier, optimizer, *map(torch.from_numpy, batch)) for batch in batches]
    return losses, classifier(torch.from_numpy(images)).numpy(force=True)
