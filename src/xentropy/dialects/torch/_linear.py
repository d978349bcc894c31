"""A linear layer whose gradient passes everywhere."""

from __future__ import annotations

from typing import Any

from xentropy._tape import record
from xentropy.dispatch import backend_of
from xentropy.formulas import steps

__all__ = ["linear"]


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    """``x @ weight.T + bias`` of matrices."""
    backend = backend_of(x)
    xp = backend.xp
    product = x @ _transposed(weight)
    result = product if bias is None else product + xp.reshape(bias, (1, -1))
    if backend.autodiff:
        return result

    def pull(wanted: tuple[bool, ...], c: Any) -> tuple[Any, ...]:
        return c @ weight, _transposed(c) @ x

    def pull_sum(wanted: tuple[bool, ...], c: Any) -> tuple[Any, ...]:
        return c, xp.sum(c, axis=0, keepdims=False)

    # In the place of the product: a step of two arrays, each of which may be differentiated by.
    record(xp, steps.product, (x, weight), {}, product, pull)
    if bias is not None:
        record(xp, steps.product, (product, bias), {}, result, pull_sum)
    return result


def _transposed(x: Any) -> Any:
    """By the one way that all namespaces share."""
    backend = backend_of(x)
    xp = backend.xp
    rows, columns = x.shape
    flat = xp.reshape(x, (-1,))
    zero = xp.zeros_like(xp.sum(flat, axis=0, keepdims=False))
    like = xp.astype(zero, getattr(xp, backend.index_dtype(x)))
    down = xp.reshape(xp.class_range(like, columns), (-1, 1))
    along = xp.reshape(xp.class_range(like, rows), (1, -1))
    return xp.gather(flat, along * columns + down)
