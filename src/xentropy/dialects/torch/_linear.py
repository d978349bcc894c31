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
    product = _product(x, _transposed(weight))
    result = product if bias is None else product + xp.reshape(bias, (1, -1))
    if backend.autodiff:
        return result

    def pull(wanted: tuple[bool, ...], c: Any) -> tuple[Any, ...]:
        return _product(c, weight), _product(_transposed(c), x)

    def pull_sum(wanted: tuple[bool, ...], c: Any) -> tuple[Any, ...]:
        return c, xp.sum(c, axis=0, keepdims=False)

    # In the place of the product: a step of two arrays, each of which may be differentiated by.
    record(xp, steps.product, (x, weight), {}, product, pull)
    if bias is not None:
        record(xp, steps.product, (product, bias), {}, result, pull_sum)
    return result


def _product(a: Any, b: Any) -> Any:
    return backend_of(a).xp.matmul(a, b, a.dtype)


def _transposed(x: Any) -> Any:
    return backend_of(x).xp.permute_dims(x, (1, 0))
