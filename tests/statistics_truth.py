"""The true statistics of rows, from their definitions, row by row on mpmath."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tests.cases import Array
from xentropy.parity.oracle import mp

__all__ = ["REAL", "Statistic", "order", "ranks", "statistics", "top_k"]

REAL = ("log_prob", "logsumexp", "entropy")


class Statistic(NamedTuple):
    """A value for each row, what it is relative to, and the same of its gradient by the logits."""

    value: Array
    scale: Array
    grad: Array
    grad_scale: Array


def _softmax(x: list[Any]) -> tuple[Any, list[Any], list[Any]]:
    """logsumexp, probabilities and their negative logarithms."""
    top = max(x)
    if not mp.isfinite(top):
        return (mp.inf if top > 0 else -mp.inf), [mp.nan] * len(x), [mp.nan] * len(x)
    # The largest stays out of the sum: 60 digits are too few beside exp(-1000).
    at = x.index(top)
    log_rest = mp.log1p(mp.fsum(mp.exp(v - top) for c, v in enumerate(x) if c != at))
    surprise = [log_rest + (top - v) for v in x]
    return top + log_rest, [mp.exp(-v) for v in surprise], surprise


def _row(name: str, x: list[Any], y: int, kept: list[bool], s: Any) -> tuple[Any, ...]:
    """One statistic of one row that is not ignored: the fields of `Statistic`."""
    inside = [c for c, k in enumerate(kept) if k]
    scaled = [s * x[c] for c in inside]
    if any(v != v for v in scaled) or (name == "log_prob" and not 0 <= y < len(x)):
        nothing = {c: mp.nan for c in inside}
        return mp.nan, mp.nan, nothing, nothing
    lse, p, surprise = _softmax(scaled) if inside else (-mp.inf, [], [])
    top = max(scaled, default=-mp.inf)
    grads = [mp.nan] * len(inside)
    if name == "logsumexp":
        return lse, max(abs(top), abs(lse)), dict(zip(inside, [s * v for v in p], strict=True)), {}
    if not mp.isfinite(top):
        nothing = dict(zip(inside, grads, strict=True))
        return mp.nan, mp.nan, nothing, nothing
    if name == "log_prob":
        own = dict(zip(inside, surprise, strict=True)).get(y, mp.inf)
        others = mp.fsum(v for c, v in zip(inside, p, strict=True) if c != y)
        slopes = {c: s * (others if c == y else -v) for c, v in zip(inside, p, strict=True)}
        return -own, own, slopes, {}
    entropy = mp.fsum(v * w for v, w in zip(p, surprise, strict=True) if v != 0)
    pairs = list(zip(inside, p, surprise, strict=True))
    slopes = {c: s * v * (w - entropy) if v != 0 else mp.zero for c, v, w in pairs}
    sizes = {c: abs(s) * v * (w + entropy) if v != 0 else mp.zero for c, v, w in pairs}
    return entropy, entropy, slopes, sizes


def statistics(
    name: str, x: Array, y: Array, *, kept: Any = True, ignored: Any = False, scale: float = 1.0
) -> Statistic:
    """One of `REAL` of each row of a matrix, whose numbers and ``scale`` are taken as exact."""
    kept, ignored = np.broadcast_to(kept, x.shape), np.broadcast_to(ignored, y.shape)
    value = np.full(y.shape, mp.zero, object)
    size, grad = value.copy(), np.full(x.shape, mp.zero, object)
    grad_size = grad.copy()
    for i in np.flatnonzero(~ignored):
        row = [v if x.dtype == object else mp.mpf(float(v)) for v in x[i]]
        found = _row(name, row, int(y[i]), list(kept[i]), mp.mpf(scale))
        value[i], size[i] = found[:2]
        for c, slope in found[2].items():
            grad[i, c], grad_size[i, c] = slope, found[3].get(c, abs(slope))
    return Statistic(value, size, grad, grad_size)


def order(x: Array, kept: Any = True, scale: float = 1.0) -> list[list[int]]:
    """The classes of each row: the largest first, of equal ones the lowest; those removed last.

    Nothing where there is no order.
    """
    kept, found = np.broadcast_to(kept, x.shape), []
    for i in range(len(x)):
        row = [float(v) if scale > 0 else -float(v) for v in x[i]]
        inside, outside = np.flatnonzero(kept[i]).tolist(), np.flatnonzero(~kept[i]).tolist()
        is_ordered = all(row[c] == row[c] for c in inside)
        # By index, as Python keeps the order of equal ones.
        first = sorted(inside, key=[-v for v in row].__getitem__)
        found.append([*first, *outside] if is_ordered else [])
    return found


def ranks(orders: list[list[int]], y: Array, ignored: Any = False) -> Array:
    """Where each label stands; -1 where it is ignored, is none, or there is no order."""
    ignored = np.broadcast_to(ignored, y.shape)
    return np.array(
        [
            -1 if gone or k not in found else found.index(k)
            for found, k, gone in zip(orders, y.tolist(), ignored.tolist(), strict=True)
        ],
        np.int64,
    )


def top_k(orders: list[list[int]], k: int, ignored: Any = False) -> Array:
    """The first classes; 0 where a row is ignored, -1 where there is no order."""
    ignored = np.broadcast_to(ignored, (len(orders),))
    rows = [
        [0] * k if gone else (found or [-1] * k)[:k]
        for found, gone in zip(orders, ignored.tolist(), strict=True)
    ]
    return np.array(rows, np.int64).reshape(len(orders), k)
