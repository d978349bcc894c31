"""Read by the type checkers, never run: arrays of one type in, arrays of that type out.

They read each function once for every type of the variable.
"""

# A mistake that is none is one: mypy asks so everywhere, see `warn_unused_ignores`.
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from typing import Any, TypeVar, assert_type

import jax
import numpy as np
import numpy.typing as npt
import tensorflow as tf
import torch

import xentropy

Floats = npt.NDArray[np.float32]
T = TypeVar("T", Floats, jax.Array, tf.Tensor, torch.Tensor)


def losses(x: T, labels: T) -> None:
    assert_type(xentropy.cross_entropy(x, labels), T)
    assert_type(xentropy.cross_entropy(x, [0, 1], reduction="mean"), T)
    assert_type(xentropy.softmax_cross_entropy(x, x, class_weight=[1.0, 2.0]), T)
    assert_type(xentropy.sparse_softmax_cross_entropy(x, labels, ignore_index=-1), T)
    assert_type(xentropy.poly_cross_entropy(x, labels, epsilon=0.5), T)
    assert_type(xentropy.softmax_focal_cross_entropy(x, labels, alpha=x), T)
    assert_type(xentropy.kl_divergence(x, x, temperature=2.0), T)
    assert_type(xentropy.sigmoid_cross_entropy(x, 1.0), T)
    assert_type(xentropy.weighted_sigmoid_cross_entropy(x, x, 2.0), T)
    assert_type(xentropy.sigmoid_focal_cross_entropy(x, x), T)
    assert_type(xentropy.binary_cross_entropy(x, x), T)
    assert_type(xentropy.categorical_cross_entropy(x, x), T)
    assert_type(xentropy.sparse_categorical_cross_entropy(x, labels), T)


def labels_of_another_dtype(x: Floats, labels: npt.NDArray[np.int64]) -> None:
    assert_type(xentropy.cross_entropy(x, labels), Floats)
    assert_type(xentropy.linear_cross_entropy(x, x, labels), Floats)


def heads(h: T, labels: T) -> None:
    assert_type(xentropy.linear_cross_entropy(h, h, labels), T)
    assert_type(xentropy.linear_cross_entropy(h, h, labels, bias=h, reduction="sum"), T)
    found = xentropy.linear_softmax_statistics(h, h, labels, outputs="log_prob", softcap=30.0)
    assert_type(found.log_prob, T)


def errors(x: T) -> None:
    assert_type(xentropy.squared_error(x, 0), T)
    assert_type(xentropy.absolute_error(x, x, where=[True]), T)
    assert_type(xentropy.log_cosh(x, x), T)
    assert_type(xentropy.huber(x, x, delta=2), T)
    assert_type(xentropy.smooth_l1(x, x), T)
    assert_type(xentropy.mean_squared_error(x, x, sample_weight=2.0), T)
    assert_type(xentropy.mean_absolute_error(x, x), T)
    assert_type(xentropy.logsumexp(x, keepdims=True), T)
    assert_type(xentropy.log_softmax(x, axis=0), T)


def statistics(x: T) -> None:
    found = xentropy.softmax_statistics(x, None, outputs=["entropy", ("top_k", 2)])
    assert_type(found.entropy, T)
    assert_type(xentropy.softmax_statistics(x, x, outputs=("rank", "correct")).rank, T)
    for each in found:
        assert_type(each, T)


def gradients(x: T) -> None:
    assert_type(xentropy.value_and_grad(xentropy.squared_error)(x, x), tuple[T, Any])
    both = xentropy.value_and_grad(xentropy.linear_cross_entropy, ("weight", 0))
    assert_type(both(x, x, [0, 1], reduction="mean"), tuple[T, Any])


def means(x: T) -> None:
    # What the fields are depends on the options: nothing is known of them.
    mean = xentropy.Mean(x, 2)
    assert_type(mean.total, Any)
    assert_type(mean.value(), Any)
    assert_type(mean.perplexity(), Any)
    assert_type(xentropy.Mean.sum([mean, mean]), Any)


def mistakes(x: T) -> None:
    xentropy.cross_entropy(x, x, reduction="average")  # type: ignore[arg-type]
    xentropy.cross_entropy(x, x, reduction=None)  # type: ignore[arg-type]
    xentropy.squared_error(x, x, x)  # type: ignore[call-arg]
    xentropy.squared_error(x)  # type: ignore[call-arg]
    xentropy.huber(x, x, beta=1.0)  # type: ignore[call-arg]
    xentropy.huber(x, x, delta="1")  # type: ignore[arg-type]
    xentropy.mean_squared_error(x, x, reduction="mean")  # type: ignore[call-arg]
    xentropy.cross_entropy([[1.0]], x)  # type: ignore[type-var]
    xentropy.softmax_statistics(x, x, outputs=3)  # type: ignore[arg-type]
    xentropy.softmax_statistics(x, x)  # type: ignore[call-arg]
    xentropy.linear_cross_entropy(x, x)  # type: ignore[call-arg]
    xentropy.linear_cross_entropy(x, x, x, reduction="avg")  # type: ignore[arg-type]
    xentropy.linear_cross_entropy(x, x, x, bias="zeros")  # type: ignore[arg-type]
    xentropy.linear_softmax_statistics(x, x, x, outputs={})  # type: ignore[arg-type]
    xentropy.value_and_grad(xentropy.squared_error, 1.0)  # type: ignore[arg-type]
    xentropy.value_and_grad(xentropy.huber)(x, x, reduction="avg")  # type: ignore[arg-type]
    xentropy.value_and_grad("huber")  # type: ignore[arg-type]
    xentropy.Mean(x)  # type: ignore[call-arg]
