"""TensorFlow's own ops, as the library's losses are called; absent where it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

__all__ = ["NATIVE"]


def _dense(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return tf.nn.softmax_cross_entropy_with_logits(tf.cast(labels, x.dtype), x, axis=axis)


def _sparse(x: Any, labels: Any) -> Any:
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.cast(labels, tf.int64), x)


def _either(x: Any, labels: Any) -> Any:
    return (_sparse if len(labels.shape) < len(x.shape) else _dense)(x, labels)


def _sigmoid(x: Any, labels: Any) -> Any:
    return tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, x.dtype), x)


def _weighted_sigmoid(x: Any, labels: Any, pos_weight: Any) -> Any:
    labels, weight = tf.cast(labels, x.dtype), tf.cast(pos_weight, x.dtype)
    return tf.nn.weighted_cross_entropy_with_logits(labels, x, weight)


def _squared(x: Any, targets: Any) -> Any:
    return tf.math.squared_difference(x, tf.cast(targets, x.dtype))


def _absolute(x: Any, targets: Any) -> Any:
    return tf.abs(x - tf.cast(targets, x.dtype))


def _logsumexp(x: Any, labels: Any, *, axis: int = -1, keepdims: bool = False) -> Any:
    return tf.reduce_logsumexp(x, axis=axis, keepdims=keepdims)


def _linear(x: Any, labels: Any, *, weight: Any, bias: Any = None) -> Any:
    logits = tf.matmul(x, weight, transpose_b=True)
    return _either(logits if bias is None else logits + bias, labels)


def _log_softmax(x: Any, labels: Any, *, axis: int = -1) -> Any:
    return tf.nn.log_softmax(x, axis=axis)


NATIVE: Mapping[str, Callable[..., Any]] = {
    "cross_entropy": _either,
    "softmax_cross_entropy": _dense,
    "sparse_softmax_cross_entropy": _sparse,
    "sigmoid_cross_entropy": _sigmoid,
    "weighted_sigmoid_cross_entropy": _weighted_sigmoid,
    "squared_error": _squared,
    "absolute_error": _absolute,
    "logsumexp": _logsumexp,
    "log_softmax": _log_softmax,
    "softmax_statistics.log_prob": lambda x, labels: -_sparse(x, labels),
    "softmax_statistics.logsumexp": _logsumexp,
    "linear_cross_entropy": _linear,
}
"""Public name of a loss to ``op(prediction, labels, **options)``, of the same shape."""
