"""The true statistics of rows, from their definitions, row by row on mpmath."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .elementwise import Array, mp

__all__ = ["REAL", "Statistic", "statistics"]

REAL = ("log_prob", "logsumexp", "entropy")
"""Those that can be differentiated."""


class Statistic(NamedTuple):
    """A value for each row, what it is relative to, and the same of its gradient by the logits."""

    value: Array
    scale: Array
    grad: Array
    grad_scale: Array


def _softmax(x: list[Any]) -> tuple[Any, list[Any], list[Any]]:
    """Return logsumexp, probabilities and their negative logarithms."""
    top = max(x)
    if not mp.isfinite(top):
        return (mp.inf if top > 0 else -mp.inf), [mp.nan] * len(x), [mp.nan] * len(x)
    # The largest stays out of the sum: 60 digits are too few beside exp(-1000).
    at = x.index(top)
    log_rest = mp.log1p(mp.fsum(mp.exp(v - top) for c, v in enumerate(x) if c != at))
    surprise = [log_rest + (top - v) for v in x]
    return top + log_rest, [mp.exp(-v) for v in surprise], surprise


def _row(name: str, x: list[Any], y: int, kept: list[bool], s: Any) -> tuple[Any, ...]:
    """Return one statistic of one row that is not ignored: the fields of `Statistic`."""
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
    name: str, x: Array, y: Array, *, kept: Any = True, ignored: Any = False, scale: Any = 1.0
) -> Statistic:
    """Return one of `REAL` of each row of a matrix, whose numbers and `scale` are exact."""
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
