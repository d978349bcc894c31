"""Cross-entropy from a framework's own softmax, for accelerators in eager mode.

There the accurate formula would cost several passes and temporaries of the size of the logits. This
one is a softmax and what is done to it in place, in blocks of rows; its error is absolute, some ulp
of ``max(1, |logsumexp|)``. Labels, weights and masks mean what they mean elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from xentropy._types import Arrays, Namespace, Options

from .formula import Formula
from .numeric import times
from .softmax import cross_entropy_dense, cross_entropy_index

__all__ = ["FORMULAS", "Ops", "gradient", "value"]

FORMULAS = (cross_entropy_dense, cross_entropy_index)
# 32 MB of float32: enough to keep an accelerator busy, little beside large logits.
_BLOCK = 2**23


class Ops(Protocol):
    """What a framework brings along. What is done to ``p``, an array of ours, may be done in it."""

    moveaxis: Callable[[Any, int, int], Any]
    broadcast_to: Callable[[Any, Any], Any]
    softmax: Callable[[Any, Any], Any]  # of x in a dtype, along the last axis
    log_softmax: Callable[[Any, Any], Any]
    take: Callable[[Any, Any], Any]  # p[i, index[i, 0]]
    add_at: Callable[[Any, Any, Any], Any]  # adds x[i, 0] to p[i, index[i, 0]]
    multiply: Callable[[Any, Any], Any]
    subtract_product: Callable[[Any, Any, Any], Any]  # p - a * b
    fill: Callable[[Any, Any, float], Any]
    map_rows: Callable[[Callable[..., Any], tuple[Any, ...], int], Any]  # in blocks of rows


class _Rows(NamedTuple):
    """The arguments of a call by row: (N, C) or (N, 1)."""

    x: Any
    labels: Any  # indices, made safe, or a distribution
    mask: Any
    wrong: Any  # rows whose index is none
    weight: Any
    left_out: Any
    cotangent: Any = None


class _Terms(NamedTuple):
    """What the rows share."""

    xp: Namespace
    ops: Ops
    is_index: bool
    dtype: Any
    class_weight: Any  # (1, C) or (1, 1)
    smoothing: float | None
    z_loss: float | None


def value(xp: Namespace, ops: Ops, formula: Formula, arrays: Arrays, options: Options) -> Any:
    """Evaluate one of `FORMULAS` on arrays as the caller gave them."""
    terms, rows, shape = _prepare(xp, ops, formula, arrays, options)
    losses = ops.map_rows(lambda *block: _losses(terms, _Rows(*block)), rows, _step(xp, rows))
    return xp.reshape(losses, shape)


def gradient(
    xp: Namespace, ops: Ops, formula: Formula, arrays: Arrays, options: Options, cotangent: Any
) -> Any:
    """The gradient with respect to the logits, in their dtype."""
    terms, rows, _ = _prepare(xp, ops, formula, arrays, options)
    x, axis = arrays[0], options["axis"]
    cotangent = xp.reshape(xp.astype(cotangent, terms.dtype), (-1, 1))
    rows = rows._replace(cotangent=cotangent)
    found = ops.map_rows(lambda *block: _gradients(terms, _Rows(*block)), rows, _step(xp, rows))
    moved = (*_without(x.shape, axis), x.shape[axis])
    return ops.moveaxis(xp.reshape(found, moved), -1, axis)


def _without(shape: Any, axis: int) -> tuple[int, ...]:
    i = axis % len(shape)
    return (*shape[:i], *shape[i + 1 :])


def _step(xp: Namespace, rows: _Rows) -> int:
    """Rows in a block; at least four blocks of 16-bit logits, which are widened."""
    n, c = int(rows.x.shape[0]), int(rows.x.shape[1])
    narrow = rows.x.dtype not in (xp.float32, xp.float64)
    return max(1, min(_BLOCK // c, -(-n // 4) if narrow else n))


def _prepare(
    xp: Namespace, ops: Ops, formula: Formula, arrays: Arrays, options: Options
) -> tuple[_Terms, _Rows, tuple[int, ...]]:
    given = dict(zip(formula.roles, arrays, strict=True))
    x, labels, keep = given["logits"], given["labels"], given["keep"]
    axis, dtype = options["axis"], getattr(xp, options["dtype"])
    index = formula is cross_entropy_index
    n, shape = x.shape[axis], _without(x.shape, axis)

    def by_class(y: Any) -> Any:
        return xp.reshape(ops.moveaxis(ops.broadcast_to(y, x.shape), axis, -1), (-1, n))

    def by_row(y: Any) -> Any:
        return xp.reshape(ops.broadcast_to(y, shape), (-1, 1))

    weight, left_out, wrong = given["sample_weight"], None, None
    if keep is not None:
        left_out = by_row(~(xp.squeeze(keep, axis) if keep.ndim == x.ndim else keep))
    if weight is not None:
        weight = by_row(xp.astype(weight, dtype))
        left_out = weight == 0 if left_out is None else left_out | (weight == 0)
    if index:
        labels = xp.reshape(labels, (-1, 1))
        wrong = (labels < 0) | (labels >= n)
        labels = xp.where(wrong, 0, labels)
    else:
        labels = by_class(labels)
    mask, class_weight = given["class_mask"], given["class_weight"]
    if class_weight is not None:
        class_weight = ops.broadcast_to(xp.astype(class_weight, dtype), (1, n))
    mask = None if mask is None else by_class(mask)
    terms = _Terms(xp, ops, index, dtype, class_weight, options["smoothing"], options["z_loss"])
    return terms, _Rows(by_class(x), labels, mask, wrong, weight, left_out), shape


def _kept(terms: _Terms, rows: _Rows) -> Any:
    """The logits without the classes that are masked."""
    return rows.x if rows.mask is None else terms.xp.where(rows.mask, rows.x, -math.inf)


def _first(terms: _Terms, rows: _Rows) -> Any:
    """One row of logits, for its shape and dtype."""
    return terms.xp.astype(rows.x[:1], terms.dtype)


def _share(terms: _Terms, rows: _Rows) -> Any:
    """``w_c / C`` of the classes kept, by which smoothing multiplies."""
    xp = terms.xp
    one = xp.ones_like(_first(terms, rows))
    one = one if rows.mask is None else xp.where(rows.mask, one, 0.0)
    share = one / xp.sum(one, axis=-1, keepdims=True)
    return share if terms.class_weight is None else terms.class_weight * share


def _coefficients(terms: _Terms, rows: _Rows) -> Any:
    """``w_c t_c`` of a distribution after smoothing."""
    t = terms.xp.astype(rows.labels, terms.dtype)
    if terms.smoothing is None:
        return t if terms.class_weight is None else terms.class_weight * t
    keep = 1.0 - terms.smoothing
    t = (keep if terms.class_weight is None else keep * terms.class_weight) * t
    share = terms.smoothing * _share(terms, rows)
    return terms.ops.subtract_product(t, 0.0 - share, terms.xp.ones_like(share[:, :1]))


def _label_weight(terms: _Terms, rows: _Rows) -> Any:
    """``(1 - s) w_y`` of an index."""
    xp = terms.xp
    weight = xp.ones_like(xp.astype(rows.labels, terms.dtype))
    if terms.class_weight is not None:
        weight = terms.ops.take(
            terms.ops.broadcast_to(terms.class_weight, rows.x.shape), rows.labels
        )
    return weight if terms.smoothing is None else (1.0 - terms.smoothing) * weight


def _losses(terms: _Terms, rows: _Rows) -> Any:
    xp, ops = terms.xp, terms.ops
    x = _kept(terms, rows)
    log_p = ops.log_softmax(x, terms.dtype)
    # Where a row has no softmax all of it is NaN.
    first = log_p[:, :1]
    loss = xp.where(first != first, math.nan, xp.zeros_like(first))
    if terms.z_loss is not None:
        top = xp.astype(xp.max(x, axis=-1, keepdims=True), terms.dtype)
        lse = top - xp.max(log_p, axis=-1, keepdims=True)
        loss = loss + terms.z_loss * lse * lse
    if terms.is_index:
        own = 0.0 - ops.take(log_p, rows.labels)
        loss = xp.where(rows.wrong, math.nan, loss + times(xp, _label_weight(terms, rows), own))
        share = None if terms.smoothing is None else terms.smoothing * _share(terms, rows)
    else:
        share = _coefficients(terms, rows)
    if share is not None:
        dropped = ops.multiply(ops.fill(log_p, share == 0, 0.0), share)
        loss = loss - xp.sum(dropped, axis=-1, keepdims=True)
    if rows.weight is not None:
        loss = rows.weight * loss
    return loss if rows.left_out is None else xp.where(rows.left_out, 0.0, loss)


def _gradients(terms: _Terms, rows: _Rows) -> Any:
    xp, ops = terms.xp, terms.ops
    x = _kept(terms, rows)
    p = ops.softmax(x, terms.dtype)
    scale = rows.cotangent if rows.weight is None else rows.weight * rows.cotangent
    total, own = 0.0, None
    if terms.z_loss is not None:
        top = xp.astype(xp.max(x, axis=-1, keepdims=True), terms.dtype)
        lse = top - xp.log(xp.max(p, axis=-1, keepdims=True))
        total = 2.0 * terms.z_loss * lse
    if terms.is_index:
        own = xp.where(rows.wrong, math.nan, _label_weight(terms, rows))
        share = None if terms.smoothing is None else terms.smoothing * _share(terms, rows)
        total = total + own
    else:
        share = _coefficients(terms, rows)
    if share is not None:
        total = total + xp.sum(share, axis=-1, keepdims=True)
    p = ops.multiply(p, scale * total)
    if own is not None:
        p = ops.add_at(p, rows.labels, 0.0 - scale * own)
    if share is not None:
        p = ops.subtract_product(p, scale, share)
    if rows.mask is not None:
        p = ops.fill(p, ~rows.mask, 0.0)
    if rows.left_out is not None:
        p = ops.fill(p, rows.left_out, 0.0)
    return xp.astype(p, rows.x.dtype)
