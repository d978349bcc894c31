"""Logits that do not lie row after row: the same bits as those of a copy, and no copy made."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.asserts import assert_bits
from tests.cases import Array, rng

Layout = Callable[[Array], tuple[Array, int]]

# From an array of shape (6, 40, 50) to a view and the axis of its classes.
LAYOUTS: dict[str, Layout] = {
    "images": lambda x: (x, 1),
    "first axis": lambda x: (x, 0),
    "pixels": lambda x: (x.reshape(6, 40, 5, 10), 1),
    "sequences without their last": lambda x: (x[:, :-1], -1),
    "every other row": lambda x: (x[:, ::2], -1),
    "some classes": lambda x: (x[..., 3:33], -1),
    "every other class": lambda x: (x[..., ::2], -1),
    "transposed": lambda x: (x.transpose(1, 0, 2), -1),
    "transposed images": lambda x: (x.transpose(2, 1, 0), 1),
    "reversed rows": lambda x: (x[::-1], -1),
    "reversed classes": lambda x: (x[..., ::-1], -1),
    "one row for all": lambda x: (np.broadcast_to(x[:1], (6, 40, 50)), -1),
    "one class": lambda x: (x[..., :1], -1),
}


def call(
    loss: Any, x: Array, axis: int, labels: Array, options: dict[str, Any]
) -> tuple[Array, Array]:
    value, grad = xentropy.value_and_grad(loss)(x, labels, axis=axis, reduction="sum", **options)
    losses = loss(x, labels, axis=axis, **options)
    assert grad.shape == x.shape
    return losses, grad + 0 * value.astype(grad.dtype)


def copied(
    loss: Any, x: Array, axis: int, labels: Array, options: dict[str, Any]
) -> tuple[Array, Array]:
    """The same of a copy whose classes are last, where each row follows the one before it."""
    last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    labels = np.moveaxis(labels, axis, -1) if labels.ndim == x.ndim else labels
    losses, grad = call(loss, last, -1, labels, options)
    return losses, np.moveaxis(grad, -1, axis)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_indexed_rows(layout: str, dtype: str) -> None:
    """Plain, and with a mask, weights and rows left out, whose gradients are 0 in their places."""
    r = rng(f"strides {layout}")
    whole = (3 * r.normal(size=(6, 40, 50))).astype(np.float32)
    x, axis = LAYOUTS[layout](whole.astype(getattr(ml_dtypes, dtype, dtype)))
    n = x.shape[axis]
    shape = tuple(k for i, k in enumerate(x.shape) if i != axis % x.ndim)
    labels = r.integers(0, n, shape)
    mask = np.asarray(r.random(n) < 0.9)
    masked: dict[str, Any] = {"class_mask": mask, "label_smoothing": 0.1}
    masked["where"] = (r.random(shape) < 0.8) & mask[labels]
    for options in ({}, masked):
        given = xentropy.cross_entropy, x, axis, labels, options
        assert_bits(call(*given), copied(*given))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_rows_with_distributions(layout: str) -> None:
    r = rng(f"dense strides {layout}")
    x, axis = LAYOUTS[layout](r.normal(size=(6, 40, 50)).astype(np.float32))
    labels = r.random(x.shape).astype(np.float32)
    options: dict[str, Any] = {"sample_weight": 2.0, "z_loss": 0.1}
    given = xentropy.softmax_cross_entropy, x, axis, labels, options
    assert_bits(call(*given), copied(*given))


@pytest.mark.parametrize("layout", ["pixels", "transposed images", "one row for all"])
def test_layouts_of_distributions(layout: str) -> None:
    """Labels that lie otherwise than the logits, with and without options."""
    r = rng(f"labels {layout}")
    labels, axis = LAYOUTS[layout](np.asarray(r.random((6, 40, 50)), np.float32))
    x = np.asarray(r.normal(size=labels.shape), np.float32)
    weight = np.asarray(r.uniform(0.5, 2, labels.shape[axis]), np.float32)
    for options in ({}, {"class_weight": weight, "label_smoothing": 0.1}):
        given = xentropy.softmax_cross_entropy, x, axis
        want = call(*given, np.array(labels, order="C"), options)
        assert_bits(call(*given, labels, options), want)


@pytest.mark.parametrize(
    ("shape", "axis", "cut"), [((8, 20, 256, 256), 1, None), ((64, 33, 4000), -1, 32)]
)
def test_no_copy_is_made(shape: tuple[int, ...], axis: int, cut: int | None) -> None:
    pytest.importorskip("numba", reason="the kernels of NumPy want rows that follow one another")
    x = np.ones(shape, np.float32)[:, :cut]
    labels = np.zeros(tuple(k for i, k in enumerate(x.shape) if i != axis % x.ndim), np.int64)
    xentropy.cross_entropy(x, labels, axis=axis)
    tracemalloc.start()
    losses = xentropy.cross_entropy(x, labels, axis=axis)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The losses, eight bytes a row for where it starts, and twice that to find them.
    assert peak <= losses.nbytes + 30 * labels.size + 0.02 * x.nbytes


@pytest.mark.parametrize("shape", [(8, 20, 256, 256), (1, 20, 1, 1)])
def test_no_copy_of_distributions_is_made(shape: tuple[int, ...]) -> None:
    """Of those that lie as the logits do, and of one for all rows."""
    pytest.importorskip("numba", reason="the kernels of NumPy want rows that follow one another")
    x, labels = np.ones((8, 20, 256, 256), np.float32), np.full(shape, 0.05, np.float32)
    xentropy.softmax_cross_entropy(x, labels, axis=1)
    tracemalloc.start()
    losses = xentropy.softmax_cross_entropy(x, labels, axis=1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak <= losses.nbytes + 50 * losses.size + 0.02 * x.nbytes
