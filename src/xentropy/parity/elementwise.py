"""Arithmetic on object arrays of mpf: what the oracle computes with.

The numbers live in a mpmath context of its own, so the global precision of ``mpmath.mp`` neither
matters nor changes. The conventions at infinities are spelled out here.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from mpmath import MPContext

__all__ = [
    "Array",
    "Mpf",
    "by_coefficient",
    "exp",
    "finite",
    "log",
    "log1p",
    "mp",
    "mpf",
    "over",
    "raised",
    "reciprocal",
    "row_sums",
    "stored",
    "times",
]

Array: TypeAlias = npt.NDArray[Any]
Mpf: TypeAlias = Any

mp: Any = MPContext()
mp.dps = 60

mpf: Any = np.frompyfunc(mp.mpf, 1, 1)
exp: Any = np.frompyfunc(mp.exp, 1, 1)
log: Any = np.frompyfunc(lambda x: mp.log(x) if x >= 0 else mp.nan, 1, 1)
log1p: Any = np.frompyfunc(lambda x: mp.log1p(x) if x >= -1 else mp.nan, 1, 1)
raised: Any = np.frompyfunc(lambda x, k: x**k if x >= 0 else mp.nan, 2, 1)
# A term whose coefficient is 0 is 0, whatever its other factor is.
times: Any = np.frompyfunc(lambda a, f: mp.zero if a == 0 else a * f, 2, 1)
# Its derivative by the coefficient: the factor, but 0 where a coefficient of 0 dropped an infinity.
by_coefficient: Any = np.frompyfunc(lambda a, f: f if a != 0 or mp.isfinite(f) else mp.zero, 2, 1)
reciprocal: Any = np.frompyfunc(lambda x: 1 / x if x != 0 else mp.inf, 1, 1)
over: Any = np.frompyfunc(lambda a, b: a / b if b != 0 else mp.zero, 2, 1)


def stored(array: Any, compute: str) -> Array:
    """Return `array` as stored in the compute dtype, as mpf; mpf given as such stay as they are."""
    array = np.asarray(array)
    if array.dtype != object:
        array = array.astype(compute).astype(object)
    return np.asarray(mpf(array), dtype=object)


def finite(x: Array) -> Array:
    """Return where numbers are finite."""
    return np.asarray(np.frompyfunc(mp.isfinite, 1, 1)(x), dtype=bool)


def row_sums(x: Array) -> Array:
    """Return the sum of every row, as a column."""
    return np.asarray(x.sum(axis=1, keepdims=True, initial=mp.zero), dtype=object)
