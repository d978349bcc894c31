"""Statistics that are integers, by index, beside those that the oracle knows."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import Array
from xentropy.parity.statistics import REAL, Statistic, statistics

__all__ = ["REAL", "Statistic", "order", "ranks", "statistics", "top_k"]


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
