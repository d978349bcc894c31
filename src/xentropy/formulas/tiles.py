"""The loss of a linear layer for index labels, from tiles of its logits: some rows and classes.

What the losses need of a row are a few sums, to which one tile after the other adds; what the
gradients need of it are four numbers made of these. They are float64, and so are exponentials: the
difference of float32 logits loses no digit there that counts.

The logit at the label stays out of the sum of exponentials. So a confident row keeps its digits,
``1 - p`` included.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from xentropy._types import Arrays, Namespace

from .linear import Head, Operands, by_product, logits, shown
from .numeric import exp_difference, times

__all__ = ["SLOPES", "Sums", "begin", "gradients", "losses", "proceed"]

SLOPES = 4
"""Numbers that gradients need of a row."""


class Sums(NamedTuple):
    """What some classes tell of some rows, (N, 1) each."""

    top: Any  # the largest logit
    others: Any  # the sum of exp(x - top), without the label's
    label: Any  # the logit at the label, NaN until it comes
    count: Any  # of classes that are kept
    mass: Any  # the sum of their weights w
    spread: Any  # the sum of w (top - x)


def begin(xp: Namespace, labels: Any) -> Sums:
    """The sums of rows before their first class."""
    zero = xp.zeros_like(xp.astype(labels, xp.float64))
    return Sums(zero - math.inf, zero, zero + math.nan, zero, zero, zero)


def proceed(xp: Namespace, head: Head, tile: Operands, sums: Sums) -> Sums:
    """Add a tile, whose labels count from its first class."""
    tile = shown(xp, tile)
    x = _kept(xp, tile, logits(xp, head.layer, tile.hidden, tile.weight, tile.bias))
    peak = xp.astype(xp.max(x, axis=1, keepdims=True), xp.float64)
    # NaN is not the larger: the other sums tell of it.
    top = xp.where(peak > sums.top, peak, sums.top)
    base = xp.where(xp.isfinite(top), top, 0.0)
    _, e = _exponential(xp, xp.where(_hits(xp, tile), -math.inf, x), base, head.layer.dtype)
    others = xp.sum(e, axis=1, keepdims=True)
    _, back = _exponential(xp, sums.top, base, "float64")
    added = sums._replace(
        top=top, others=sums.others * back + others, label=_at_label(xp, tile, x, sums.label)
    )
    if not head.smoothing:
        return added
    drop = base - xp.astype(x, xp.float64)
    one = xp.ones_like(drop[:1])
    one = one if tile.class_mask is None else xp.where(tile.class_mask, one, 0.0)
    w = one if tile.class_weight is None else one * _wide(xp, head, tile.class_weight)
    spread = xp.sum(times(xp, w, drop), axis=1, keepdims=True)
    return added._replace(
        count=sums.count + xp.sum(one, axis=1, keepdims=True),
        mass=sums.mass + xp.sum(w, axis=1, keepdims=True),
        spread=sums.spread + times(xp, sums.mass, base - sums.top) + spread,
    )


def losses(xp: Namespace, head: Head, rows: Operands, sums: Sums) -> tuple[Any, Any]:
    """The losses, (N,), and of each row maximum, slope, slope at the label, and share."""
    top, others, smoothing = sums.top, sums.others, head.smoothing or 0.0
    z, e = _exponential(xp, sums.label, top, "float64")
    log_rest = xp.log1p(others + (e - 1.0))
    weight, total, lse = _weight_of_label(xp, head, rows), others + e, top + log_rest
    keep, share = (1.0 - smoothing) * weight, xp.zeros_like(top)
    loss = times(xp, keep, log_rest - z)
    if smoothing:
        share = smoothing / xp.where(sums.count == 0, 1.0, sums.count)
        loss = loss + share * (sums.mass * log_rest + sums.spread)
    slope = share * sums.mass
    if head.z_loss is not None:
        loss = loss + head.z_loss * (lse * lse)
        slope = slope + (2.0 * head.z_loss) * lse
    own = (e * slope - keep * others) / total - share * weight
    wrong = ~xp.isfinite(top) | (others != others) | (sums.label != sums.label)
    slopes = xp.concat([top, (slope + keep) / total, own, share], axis=1)
    return _weighted(xp, head, rows, xp.where(wrong, math.nan, loss)), xp.where(
        wrong, math.nan, slopes
    )


def gradients(
    xp: Namespace, head: Head, tile: Operands, slopes: Any, cotangent: Any
) -> tuple[Arrays, Any]:
    """The gradients by the weight, and by the bias if there is one; and those by the rows."""
    layer, real = head.layer, getattr(xp, head.layer.dtype)
    tile = shown(xp, tile)
    raw = logits(xp, layer, tile.hidden, tile.weight, tile.bias)
    _, e = _exponential(xp, _kept(xp, tile, raw), slopes[:, :1], layer.dtype)
    wide = xp.astype(cotangent, xp.float64)[:, None]
    factor, live = _factor(xp, head, tile, wide)
    scaled = xp.astype(factor * slopes, real)
    g = scaled[:, 1:2] * xp.astype(e, real)
    if head.smoothing:
        share = scaled[:, 3:]
        weight = tile.class_weight
        g = g - (share if weight is None else share * xp.astype(weight, real))
    g = xp.where(_hits(xp, tile), scaled[:, 2:3], g)
    if tile.class_mask is not None:
        g = xp.where(tile.class_mask, g, 0.0)
    if live is not None:
        g = xp.where(live, g, 0.0)
    g = by_product(layer, raw, g)
    found = [xp.matmul(g, tile.hidden, real, "a")]
    if tile.bias is not None:
        found.append(xp.sum(g, axis=0, keepdims=False))
    return tuple(found), xp.matmul(g, tile.weight, real)


def _exponential(xp: Namespace, x: Any, top: Any, dtype: str) -> tuple[Any, Any]:
    """``x - top`` and its exponential, in float64."""
    wide = xp.astype(x, xp.float64)
    if dtype == "float64":
        return exp_difference(xp, wide, top, None, dtype)
    z = wide - top
    return z, xp.exp(z)


def _kept(xp: Namespace, tile: Operands, x: Any) -> Any:
    return x if tile.class_mask is None else xp.where(tile.class_mask, x, -math.inf)


def _hits(xp: Namespace, tile: Operands) -> Any:
    """Where the labels are."""
    return xp.class_range(tile.labels, xp.size(tile.weight, 0)) == tile.labels


def _at_label(xp: Namespace, tile: Operands, x: Any, otherwise: Any) -> Any:
    """The logits at the labels that the tile holds."""
    y, n = tile.labels, xp.size(tile.weight, 0)
    inside = (y >= 0) & (y < n)
    rows = xp.reshape(xp.class_range(y, xp.size(y, 0)), (-1, 1))
    at = xp.gather(xp.reshape(x, (-1,)), rows * n + xp.where(inside, y, 0))
    return xp.where(inside, xp.astype(at, xp.float64), otherwise)


def _wide(xp: Namespace, head: Head, x: Any) -> Any:
    """What the compute dtype has of numbers."""
    return xp.astype(xp.astype(x, getattr(xp, head.layer.dtype)), xp.float64)


def _weight_of_label(xp: Namespace, head: Head, rows: Operands) -> Any:
    y, n = rows.labels, xp.size(rows.weight, 0)
    if rows.class_weight is None:
        return 1.0
    weight = _wide(xp, head, rows.class_weight)
    if not weight.ndim:
        return weight
    return xp.gather(weight, xp.where((y >= 0) & (y < n), y, 0))


def _weighted(xp: Namespace, head: Head, rows: Operands, loss: Any) -> Any:
    """The losses times their weights; exactly 0 of rows that are left out."""
    rows = shown(xp, rows)
    factor, live = _factor(xp, head, rows, 1.0)
    if rows.sample_weight is not None:
        # A weight of 0 leaves what is a number its derivative by the weight.
        live = live | (rows.keep[:, None] & xp.isfinite(loss))
        loss = factor * xp.where(live, loss, 0.0)
    loss = loss if live is None else xp.where(live, loss, 0.0)
    return xp.astype(xp.squeeze(loss, 1), getattr(xp, head.layer.dtype))


def _factor(xp: Namespace, head: Head, rows: Operands, factor: Any) -> tuple[Any, Any]:
    """A factor times the weights of rows, and which of them are not left out, None for all."""
    live = None if rows.keep is None else rows.keep[:, None]
    if rows.sample_weight is None:
        return factor, live
    weight = _wide(xp, head, rows.sample_weight)[:, None]
    some = weight != 0
    return factor * weight, some if live is None else live & some
