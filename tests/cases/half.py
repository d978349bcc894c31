"""Predictions of 16 bits: the loss is float32, the gradient has their dtype."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .case import HALF, Array, Case, rng
from .inputs import C, N, binary_labels, indices, shares

__all__ = ["cases"]


def cases() -> Iterator[Case]:
    r = rng("narrow")
    x, index, hard = 3 * r.normal(size=(N, C)), indices(r), binary_labels()["hard"]
    calls: list[tuple[str, dict[str, Array], dict[str, Any]]] = [
        ("sparse_softmax_cross_entropy", {"logits": x, "labels": index}, {}),
        ("cross_entropy", {"logits": x, "labels": index}, {"label_smoothing": 0.1, "z_loss": 0.01}),
        ("softmax_cross_entropy", {"logits": x, "labels": shares(r)}, {}),
        ("sigmoid_cross_entropy", {"logits": x, "labels": hard}, {}),
        ("sigmoid_focal_cross_entropy", {"logits": x, "labels": hard}, {}),
        ("softmax_focal_cross_entropy", {"logits": x, "labels": index}, {}),
        ("poly_cross_entropy", {"logits": x, "labels": index}, {}),
        ("kl_divergence", {"logits": x, "labels": shares(r)}, {}),
        ("binary_cross_entropy", {"probs": r.uniform(0.1, 0.9, (N, C)), "labels": hard}, {}),
        ("sparse_categorical_cross_entropy", {"probs": shares(r), "labels": index}, {}),
        ("squared_error", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("huber", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("log_cosh", {"predictions": x, "targets": r.normal(size=(N, C))}, {}),
        ("logsumexp", {"x": x}, {}),
        ("log_softmax", {"x": x}, {}),
    ]
    for i, (loss, arrays, options) in enumerate(calls):
        first, dtypes = next(iter(arrays)), HALF if i < 2 else (HALF[i % 2],)
        yield Case(f"{loss} narrow", loss, arrays, options, wrt=(first,), dtypes=dtypes)
