"""SciPy's functions, where it is installed, as the library's losses are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

try:
    special: Any = importlib.import_module("scipy.special")
except ModuleNotFoundError:
    special = None

__all__ = ["NATIVE"]


def _sparse(x: Any, labels: Any) -> Any:
    log_p = special.log_softmax(x, axis=-1)
    return -np.take_along_axis(log_p, labels[..., None], axis=-1)[..., 0]


def _dense(x: Any, labels: Any) -> Any:
    return -np.sum(labels * special.log_softmax(x, axis=-1), axis=-1)


def _either(x: Any, labels: Any) -> Any:
    return (_sparse if labels.ndim < x.ndim else _dense)(x, labels)


def _sigmoid(x: Any, labels: Any) -> Any:
    return -labels * special.log_expit(x) - (1 - labels) * special.log_expit(-x)


def _kl(x: Any, labels: Any, *, temperature: float = 1.0) -> Any:
    p = special.softmax(x / temperature, axis=-1)
    return np.sum(special.rel_entr(labels, p), axis=-1) * temperature**2


def _entropy(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return special.entr(special.softmax(x, axis=axis)).sum(axis=axis)


def _linear(x: Any, labels: Any, *, weight: Any, bias: Any = None) -> Any:
    logits = x @ weight.T
    return _either(logits if bias is None else logits + bias, labels)


def _quiet(op: Callable[..., Any]) -> Callable[..., Any]:
    call: Callable[..., Any] = np.errstate(all="ignore")(op)
    return call


_SCIPY: dict[str, Callable[..., Any]] = {
    "cross_entropy": _either,
    "softmax_cross_entropy": _dense,
    "sparse_softmax_cross_entropy": _sparse,
    "sigmoid_cross_entropy": _sigmoid,
    "kl_divergence": _kl,
    "huber": lambda x, labels, *, delta=1.0: special.huber(delta, x - labels),
    "logsumexp": lambda x, labels, *, axis=-1, keepdims=False: special.logsumexp(
        x, axis=axis, keepdims=keepdims
    ),
    "log_softmax": lambda x, labels, *, axis=-1: special.log_softmax(x, axis=axis),
    "softmax_statistics.log_prob": lambda x, labels: -_sparse(x, labels),
    "softmax_statistics.logsumexp": lambda x, labels, *, axis=-1: special.logsumexp(x, axis=axis),
    "softmax_statistics.entropy": _entropy,
    "linear_cross_entropy": _linear,
}
_KNOWN = {} if special is None else _SCIPY
NATIVE: Mapping[str, Callable[..., Any]] = {name: _quiet(op) for name, op in _KNOWN.items()}
"""Public name of a loss to ``op(prediction, labels, **options)``, of the same shape."""
