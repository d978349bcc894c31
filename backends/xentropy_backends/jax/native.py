"""JAX's own ops, and those of Optax where it is installed, as the library's losses are called."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax

try:
    optax: Any = importlib.import_module("optax")
except ModuleNotFoundError:
    optax = None

__all__ = ["NATIVE"]


def _standard(op: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled op that may promote as users let it, with floating labels of its dtype."""

    def call(x: Any, labels: Any, **options: Any) -> Any:
        if labels is not None and jax.numpy.issubdtype(labels.dtype, jax.numpy.floating):
            labels = labels.astype(x.dtype)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            return jax.jit(lambda x, labels: op(x, labels, **options))(x, labels)

    call.__signature__ = inspect.signature(op)  # type: ignore[attr-defined]
    return call


def _dense(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return optax.losses.softmax_cross_entropy(x, labels, axis=axis)


def _sparse(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return optax.losses.softmax_cross_entropy_with_integer_labels(x, labels, axis=axis)


def _either(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return (_sparse if labels.ndim < x.ndim else _dense)(x, labels, axis=axis)


def _kl(x: Any, labels: Any, *, temperature: float = 1.0) -> Any:
    log_p = jax.nn.log_softmax(x / temperature)
    return optax.losses.kl_divergence(log_p, labels) * temperature**2


def _focal(x: Any, labels: Any, *, alpha: Any = None, gamma: float = 2.0) -> Any:
    return optax.losses.sigmoid_focal_loss(x, labels, alpha=alpha, gamma=gamma)


def _poly(x: Any, labels: Any, *, epsilon: float = 1.0) -> Any:
    if labels.ndim < x.ndim:
        labels = jax.nn.one_hot(labels, x.shape[-1], dtype=x.dtype)
    return optax.losses.poly_loss_cross_entropy(x, labels, epsilon=epsilon)


def _entropy(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return jax.scipy.special.entr(jax.nn.softmax(x, axis=axis)).sum(axis=axis)


def _linear(x: Any, labels: Any, *, weight: Any, bias: Any = None) -> Any:
    logits = x @ weight.T
    return _either(logits if bias is None else logits + bias, labels)


_JAX: dict[str, Callable[..., Any]] = {
    "logsumexp": lambda x, labels, *, axis=-1, keepdims=False: jax.scipy.special.logsumexp(
        x, axis=axis, keepdims=keepdims
    ),
    "log_softmax": lambda x, labels, *, axis=-1, where=None: jax.nn.log_softmax(
        x, axis=axis, where=where
    ),
    "softmax_statistics.logsumexp": lambda x, labels, *, axis=-1: jax.scipy.special.logsumexp(
        x, axis=axis
    ),
    "softmax_statistics.entropy": _entropy,
}
_OPTAX: dict[str, Callable[..., Any]] = {
    "cross_entropy": _either,
    "softmax_cross_entropy": _dense,
    "sparse_softmax_cross_entropy": _sparse,
    "sigmoid_cross_entropy": lambda x, labels: optax.losses.sigmoid_binary_cross_entropy(x, labels),
    "sigmoid_focal_cross_entropy": _focal,
    "poly_cross_entropy": _poly,
    "kl_divergence": _kl,
    "squared_error": lambda x, labels: optax.losses.squared_error(x, labels),
    "huber": lambda x, labels, *, delta=1.0: optax.losses.huber_loss(x, labels, delta=delta),
    "log_cosh": lambda x, labels: optax.losses.log_cosh(x, labels),
    "softmax_statistics.log_prob": lambda x, labels, *, axis=-1: -_sparse(x, labels, axis=axis),
    "linear_cross_entropy": _linear,
}
_KNOWN = _JAX if optax is None else _JAX | _OPTAX
NATIVE: Mapping[str, Callable[..., Any]] = {name: _standard(op) for name, op in _KNOWN.items()}
"""Public name of a loss to ``op(prediction, labels, **options)``, of the same shape."""
