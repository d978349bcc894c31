"""The `Engine` of what Numba compiles.

Its kernels take addresses and numbers: one compilation serves each dtype, whether arrays may be
written to or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from . import elements, terms
from . import statistics as of_rows
from .by_element import Elements
from .by_row import Call
from .elements import BLOCK
from .engine import Found
from .memory import ABSENT, Rows, address
from .rows import rows
from .sums import sums as row_sums
from .threads import is_small, run

__all__ = [
    "BY_STRIDES",
    "KINDS",
    "gradients",
    "is_uniform",
    "lend",
    "log_softmax",
    "log_softmax_gradient",
    "losses",
    "multiply",
    "plain_losses",
    "sigmoid_gradients",
    "sigmoid_losses",
    "statistics",
    "sums",
    "total",
]

Array = npt.NDArray[Any]

BY_STRIDES = True
_TERMS = {
    "logsumexp": terms.LOGSUMEXP,
    "entropy": terms.ENTROPY,
    "log_softmax": terms.LOG_SOFTMAX,
    "divergence": terms.DIVERGENCE,
    "focal": terms.FOCAL,
}
KINDS = frozenset(("index", "dense", "sigmoid", "statistics", *_TERMS))

_ONE: dict[Any, Any] = {
    np.dtype(np.float32): np.float32(1),
    np.dtype(np.float64): np.float64(1),
    np.dtype(np.int16): np.int16(0x3C00),  # the bits of float16
    np.dtype(np.float16): np.int16(0x3C00),
    np.dtype(np.uint16): np.uint16(0x3F80),  # of bfloat16
}
_COMPUTED = {np.dtype(kind): np.dtype(np.float32) for kind in (np.int16, np.float16, np.uint16)}


LARGE, LONG = 2**25, 512
"""Bytes of a gradient that no cache would hold until it is read, and numbers of a row of it."""


def _goes_past(out: Array, n: int) -> bool:
    """Whether a gradient is written past the cache; lines that two rows share would take long."""
    return out.nbytes >= LARGE and n >= LONG


def lend(x: Array) -> int:
    """Its address."""
    return address(x)


# --- rows -------------------------------------------------------------------------------------


def losses(call: Call, upstream: float, losses: Array, saved: Array, out: Array) -> None:
    """The losses of rows."""
    if call.kind in _TERMS:
        return _run_terms(call, upstream, 0, losses, out)
    others = address(saved), address(out), _goes_past(out, call.x.n)
    _run(rows, call, upstream, 0, address(losses), 1.0, 0, *others)


def gradients(call: Call, cotangent: Array, saved: Array, out: Array) -> None:
    """Their gradients."""
    if call.kind in _TERMS:
        return _run_terms(call, 0.0, address(cotangent), ABSENT, out)
    others = address(saved), address(out), _goes_past(out, call.x.n)
    _run(rows, call, 0.0, address(cotangent), 0, 1.0, 0, *others)


def log_softmax(call: Call, out: Array) -> None:
    """Log-probabilities."""
    _run_terms(call, 0.0, 0, out, ABSENT)


def log_softmax_gradient(call: Call, out: Array) -> None:
    """Their gradients."""
    _run_terms(call, 0.0, 0, ABSENT, out)


def _run_terms(call: Call, upstream: float, cotangent: int, losses: Array, out: Array) -> None:
    kind, past = _TERMS[call.kind], any(_goes_past(x, call.x.n) for x in (losses, out))
    others = upstream, cotangent, address(losses), address(out), past
    _run(terms.terms, call, kind, call.numbers.temperature, *others)


def sums(call: Call, out: Array) -> None:
    """The sums of rows."""
    _run(row_sums, call, address(out), out.shape[1])


def _run(kernel: Any, call: Call, *others: Any) -> None:
    x, t = call.x, call.t
    arguments = (
        address(x.flat),
        address(x.starts),
        x.step,
        x.n,
        address(call.labels),
        address(t.flat),
        address(t.starts),
        t.step,
        address(call.class_weight),
        address(call.shares),
        call.shares.shape[0] if call.shares.size else 0,
        call.shares.size == 1,
        address(call.mask),
        call.mask.shape[0] if call.mask.size else 0,
        address(call.scale),
        *call.numbers[:4],
    )
    run(kernel, (_ONE[x.flat.dtype], arguments, *others), x.length, x.flat.size)


def plain_losses(
    x: int,
    labels: int,
    count: int,
    n: int,
    dtype: Any,
    divisor: int | None,
    upstream: float | None,
    empty: Callable[..., Array],
) -> Found:
    """The losses of a plain call."""
    real = _COMPUTED.get(dtype, dtype)
    losses, out, to = empty((count,), real), None, (0, False)
    if upstream is not None:
        out = empty((count * n,), dtype)
        to = address(out), _goes_past(out, n)
    call = (x, 0, 1, n, labels, 0, 0, 1, 0, 0, 0, False, 0, 0, 0, 0.0, 0.0, 0.0, -1.0)
    arguments = (_ONE[dtype], call, upstream or 0.0, 0, address(losses))
    if divisor is None:
        wrong = run(rows, (*arguments, 1.0, 0, 0, *to), count, count * n)
        return None if wrong else (losses, out)
    result = empty((), real)
    if is_small(count * n):
        wrong = rows(*arguments, float(divisor), address(result), 0, *to, 0, count)
    else:
        wrong = run(rows, (*arguments, 1.0, 0, 0, *to), count, count * n)
        with np.errstate(all="ignore"):
            result[...] = total(losses) / divisor
    return None if wrong else (result, out)


def statistics(
    x: Rows, arrays: dict[str, Array], scale: float, k: int, found: dict[str, Array]
) -> None:
    """Statistics of rows."""
    labels, mask, keep = (arrays[name] for name in ("labels", "class_mask", "keep"))
    masks = mask.shape[0] if mask.size else 0
    given = (address(x.flat), x.n, address(labels), address(mask), masks, address(keep), scale, k)
    names = ("log_prob", "logsumexp", "entropy", "rank", "top_k")
    outputs = tuple(address(found[name]) if name in found else 0 for name in names)
    run(of_rows.statistics, (_ONE[x.flat.dtype], given, outputs), x.length, x.flat.size)


# --- elements ---------------------------------------------------------------------------------


def sigmoid_losses(call: Elements, upstream: float, losses: Array, out: Array) -> None:
    """The losses of elements."""
    _sigmoid(call, upstream, 0, 0, address(losses), address(out))


def sigmoid_gradients(call: Elements, cotangent: Array, out: Array) -> None:
    """Their gradients."""
    _sigmoid(call, 0.0, address(cotangent), int(cotangent.size > 1), 0, address(out))


def _sigmoid(call: Elements, *others: Any) -> None:
    x, labels, positive = call.x, call.labels, call.positive
    arguments = (
        address(x),
        address(labels),
        labels.size if labels.size != x.size else 0,
        address(positive),
        positive.size,
        call.gamma,
        address(call.scale),
        call.smoothing,
    )
    run(elements.sigmoid, (_ONE[x.dtype], arguments, *others), x.size, x.size)


def total(x: Array) -> float:
    """The sum of float32 numbers."""
    x = np.ascontiguousarray(x)
    if x.size <= BLOCK:
        return float(elements.add_up(address(x), x.size))
    sums = np.empty(-(-x.size // BLOCK))
    run(elements.total, (address(x), x.size, address(sums)), sums.size, x.size)
    return float(sums.sum())


def is_uniform(x: Array) -> bool:
    """Whether all numbers are the same."""
    return bool(elements.is_uniform(_ONE[x.dtype], address(x), x.size))


def multiply(x: Array, count: int, factors: Array) -> None:
    """Multiply rows."""
    factors = np.asarray(factors, x.dtype)
    arguments = (address(x), x.size // count, address(factors), int(factors.size > 1))
    run(elements.multiply, (_ONE[x.dtype], *arguments), count, x.size)
