"""PyTorch's own ops, as the library's losses are called; absent where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

__all__ = ["NATIVE"]


def _cross_entropy(
    x: Any,
    labels: Any,
    *,
    class_weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Any:
    labels = labels.to(x.dtype) if labels.is_floating_point() else labels
    return F.cross_entropy(
        x,
        labels,
        weight=None if class_weight is None else class_weight.to(x.dtype),
        ignore_index=ignore_index,
        reduction="none",
        label_smoothing=label_smoothing,
    )


def _sigmoid(x: Any, labels: Any, *, pos_weight: Any = None) -> Any:
    weight = None if pos_weight is None else torch.as_tensor(pos_weight, dtype=x.dtype)
    return F.binary_cross_entropy_with_logits(
        x, labels.to(x.dtype), pos_weight=weight, reduction="none"
    )


def _binary(probs: Any, labels: Any) -> Any:
    return F.binary_cross_entropy(probs, labels.to(probs.dtype), reduction="none")


def _sparse_categorical(
    probs: Any, labels: Any, *, class_weight: Any = None, ignore_index: int = -100
) -> Any:
    log_p = torch.log(probs)
    return F.nll_loss(
        log_p, labels, weight=class_weight, ignore_index=ignore_index, reduction="none"
    )


def _kl(x: Any, labels: Any, *, temperature: float = 1.0) -> Any:
    log_p = F.log_softmax(x / temperature, dim=-1)
    terms = F.kl_div(log_p, labels.to(x.dtype), reduction="none")
    return terms.sum(dim=-1) * temperature**2


def _linear(
    x: Any,
    labels: Any,
    *,
    weight: Any,
    bias: Any = None,
    class_weight: Any = None,
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
) -> Any:
    return F.linear_cross_entropy(
        x,
        weight,
        labels.to(x.dtype) if labels.is_floating_point() else labels,
        linear_bias=bias,
        weight=class_weight,
        ignore_index=ignore_index,
        reduction="none",
        label_smoothing=label_smoothing,
    )


def _log_prob(x: Any, labels: Any) -> Any:
    return torch.distributions.Categorical(logits=x).log_prob(labels)


def _entropy(x: Any, labels: Any) -> Any:
    return torch.distributions.Categorical(logits=x).entropy()


def _pointwise(op: Callable[..., Any], reduction: str = "none") -> Callable[..., Any]:
    def call(x: Any, labels: Any) -> Any:
        return op(x, labels.to(x.dtype), reduction=reduction)

    return call


def _huber(x: Any, labels: Any, *, delta: float = 1.0) -> Any:
    return F.huber_loss(x, labels.to(x.dtype), reduction="none", delta=delta)


def _smooth_l1(x: Any, labels: Any, *, beta: float = 1.0) -> Any:
    return F.smooth_l1_loss(x, labels.to(x.dtype), reduction="none", beta=beta)


# New in PyTorch 2.13.
_LINEAR = {"linear_cross_entropy": _linear} if hasattr(F, "linear_cross_entropy") else {}
NATIVE: Mapping[str, Callable[..., Any]] = {
    "cross_entropy": _cross_entropy,
    "softmax_cross_entropy": _cross_entropy,
    "sparse_softmax_cross_entropy": _cross_entropy,
    "sigmoid_cross_entropy": _sigmoid,
    "weighted_sigmoid_cross_entropy": _sigmoid,
    "binary_cross_entropy": _binary,
    "sparse_categorical_cross_entropy": _sparse_categorical,
    "kl_divergence": _kl,
    "squared_error": _pointwise(F.mse_loss),
    "absolute_error": _pointwise(F.l1_loss),
    "huber": _huber,
    "smooth_l1": _smooth_l1,
    "mean_squared_error": _pointwise(F.mse_loss, "mean"),
    "mean_absolute_error": _pointwise(F.l1_loss, "mean"),
    "logsumexp": lambda x, labels, *, axis=-1, keepdims=False: torch.logsumexp(
        x, axis, keepdim=keepdims
    ),
    "log_softmax": lambda x, labels, *, axis=-1: F.log_softmax(x, dim=axis),
    "softmax_statistics.log_prob": _log_prob,
    "softmax_statistics.logsumexp": lambda x, labels, *, axis=-1: torch.logsumexp(x, axis),
    "softmax_statistics.entropy": _entropy,
    **_LINEAR,
}
"""Public name of a loss to ``op(prediction, labels, **options)``, of the same shape."""
