"""Losses of a linear layer, whose logits are held of some rows and classes at a time.

The logits are computed twice: first for the sums of their rows, which is all that the losses need,
then for the gradients. In between nothing is held but four numbers a row; only memory that the
gradient of the weight will take anyway, and what `max_memory` allows beyond that of tiles, holds
logits until then, as many as it has room for. The former holds all of them where a row has no fewer
features than there are rows.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xentropy.formulas.linear import Head, Operands

from .by_row import Call
from .engine import engine
from .memory import named, narrowed, plain, rows_of, widened
from .of_sums import Label, Sums, dense_loss, index_loss, merge
from .pool import empty as pooled
from .tiles import Tiles, by_block, shares_of, slices, uncap

__all__ = ["SAVED", "State", "gradients", "losses", "restored"]

Array = npt.NDArray[Any]

SAVED = 4
"""Numbers that are saved of a row."""


class State(NamedTuple):
    """What the gradients need of the call of the losses."""

    head: Head
    given: Operands
    saved: Array  # float64, (N, SAVED)
    scale: Array | None  # of each row, float64; 0 leaves it out
    held: list[_Held]  # one, until it is taken


class _Held:
    """Logits that wait, from the first class on, first in the memory of a gradient."""

    def __init__(self, own: Array | None, more: Array, rows: Array | slice) -> None:
        self.own, self.more, self.rows = own, more, rows  # (V, D), any numbers, and which rows

    @property
    def memories(self) -> list[Array]:
        return [x for x in (self.own, self.more) if x is not None]


_waiting: weakref.WeakSet[_Held] = weakref.WeakSet()
"""One at most: each of many losses of one weight would take as much."""


@np.errstate(all="ignore")  # infinities and NaN are results here
def losses(
    head: Head,
    given: Operands,
    empty: Any = pooled,
    wanted: tuple[bool, ...] = (),
    more: Array | None = None,
) -> tuple[Array, State]:
    """The losses, shape (N,), in the compute dtype, and what `gradients` needs.

    Where it is known which gradients by hidden, weight and bias will be ``wanted``, logits wait for
    them; the memory of that by the weight is taken at once. They also wait in ``more``, memory of
    the caller.
    """
    scale, count = _scale(given), given.hidden.shape[0]
    tiles = Tiles(head, given, _indices(scale, count))
    held = _hold(tiles, empty, wanted) if more is None else _lent(tiles.index, more)
    if more is not None:
        tiles.hold([more])
    found = Sums(np.full(tiles.count, -np.inf), *np.zeros((4, tiles.count)))
    at_label = np.full(tiles.count, np.nan)
    for part, classes in tiles:
        x, call = tiles.logits(part, classes), tiles.call(part, classes)
        sums = np.empty((4, len(x)))
        engine().sums(call._replace(x=rows_of(x, -1, True)), sums)
        _add(found, part, sums)
        if head.is_index:
            _read_labels(x, call, at_label[part])
    if head.is_index:
        label = _label(head, given, tiles.index, at_label)
        loss, slopes = index_loss(label, tiles.numbers, _whole(found))
    else:
        loss, slopes = dense_loss(tiles.numbers, _whole(found))
    result, saved = empty((count,), tiles.real), np.zeros((count, SAVED))
    result[...] = 0
    result[tiles.index] = loss if scale is None else scale[tiles.index] * loss
    saved[tiles.index] = slopes.T
    return result, State(head, given, saved, scale, held)


def _hold(tiles: Tiles, empty: Any, wanted: tuple[bool, ...]) -> list[_Held]:
    """Memory for logits, where there is some and nobody else holds any."""
    if not any(wanted) or not tiles.count or _waiting:
        return []
    weight, own = tiles.given.weight, None
    if wanted[1] and weight.dtype == tiles.real:
        own = empty(weight.shape, tiles.real)
    held = _Held(own, pooled((tiles.spare(own),), tiles.real), tiles.index)
    tiles.hold(held.memories)
    if not tiles.holds:
        return []
    _waiting.add(held)
    return [held]


def _lent(rows: Array | slice, more: Array | None) -> list[_Held]:
    return [] if more is None else [_Held(None, more, rows)]


def restored(head: Head, given: Operands, saved: Array, more: Array | None = None) -> State:
    """The state of a call of which only the numbers were kept, and memory in which logits wait."""
    scale = _scale(given)
    return State(head, given, saved, scale, _lent(_indices(scale, len(saved)), more))


@np.errstate(all="ignore")
def gradients(
    state: State, cotangent: Array, wanted: tuple[bool, ...], empty: Any = pooled
) -> tuple[Array | None, ...]:
    """The gradients by hidden, weight and bias, where they are wanted, in their dtypes."""
    head, given, saved, scale, held = state
    scaled = np.broadcast_to(np.asarray(cotangent, np.float64), saved.shape[:1])
    if scale is not None:
        scaled = np.where(scale == 0, 0.0, scaled * scale)
    tiles = Tiles(head, given, _indices(scaled, len(saved)))
    own = None
    if held:
        waited = held.pop()
        _waiting.discard(waited)
        own = waited.own if wanted[1] else None
        if _are_same(waited.rows, tiles.index):  # not where more cotangents are 0
            tiles.hold(waited.memories)
    return _Gradients(tiles, saved, scaled, wanted, empty, own).found()


# --- what is left out -------------------------------------------------------------------------


def _scale(given: Operands) -> Array | None:
    """The weight of each row; None where all are 1."""
    if given.sample_weight is None and given.keep is None:
        return None
    scale = np.ones(given.hidden.shape[0])
    if given.sample_weight is not None:
        scale = scale * np.asarray(given.sample_weight, np.float64)
    return scale if given.keep is None else np.where(given.keep, scale, 0.0)


def _indices(scale: Array | None, count: int) -> Array | slice:
    """The rows that are not left out."""
    if scale is None or scale.all():
        return slice(0, count)
    return np.flatnonzero(scale)


def _are_same(a: Array | slice, b: Array | slice) -> bool:
    if isinstance(a, slice) or isinstance(b, slice):
        return isinstance(a, slice) and isinstance(b, slice) and a == b
    return np.array_equal(a, b)


# --- sums -------------------------------------------------------------------------------------


def _add(found: Sums, part: slice, sums: Array) -> None:
    """Add the sums of a tile to those of its rows."""
    top, rest, spread, mass = sums
    rest[top == -np.inf] = 0
    new = (top, rest, spread, mass, np.zeros_like(top))
    pairs = [np.stack([old[part], x], 1) for old, x in zip(found, new, strict=True)]
    merged = merge(Sums(*pairs))
    none = merged.top == -np.inf
    for old, x, pair in zip(found, merged, pairs, strict=True):
        old[part] = np.where(none, pair.sum(1), x)


def _whole(sums: Sums) -> Sums:
    """NaN where a row has no softmax."""
    return sums._replace(rest=sums.rest + (sums.top - sums.top))


def _read_labels(x: Array, call: Call, found: Array) -> None:
    """Note the logits at the labels that a tile has."""
    r = np.flatnonzero(call.labels >= 0)
    y = call.labels[r]
    found[r] = x[r, y]
    if call.mask.size:
        found[r[~call.mask[r % len(call.mask), y]]] = -np.inf


def _label(head: Head, given: Operands, index: Any, x: Array) -> Label:
    """What each row has at its label."""
    n, y = given.weight.shape[0], given.labels.reshape(-1)[index].astype(np.int64)
    y = np.where((y >= 0) & (y < n), y, 0)
    weight: Any = 1.0
    if given.class_weight is not None:
        every = np.broadcast_to(widened(given.class_weight), (n,))
        weight = every[y].astype(head.layer.dtype).astype(np.float64)
    share: Any = shares_of(head, given)
    if share is None:
        return Label(x, weight, 0.0)
    share = share[:, 0] if len(share) == 1 else share[index, 0]
    if given.class_mask is not None:
        mask = np.broadcast_to(given.class_mask, (given.hidden.shape[0], n))
        share = share * mask[np.arange(len(mask))[index], y]
    return Label(x, weight, share * weight)


# --- gradients --------------------------------------------------------------------------------


class _Gradients:
    """The gradients, added up tile by tile in the compute dtype."""

    def __init__(
        self,
        tiles: Tiles,
        saved: Array,
        scale: Array,
        wanted: tuple[bool, ...],
        empty: Any,
        own: Array | None,
    ) -> None:
        self.tiles, self.saved, self.scale = tiles, saved, scale
        given = tiles.given
        self.results: list[Array | None] = [None, None, None]
        for i, x in enumerate(given[:3]):
            if wanted[i] and x is not None:
                is_own = own is not None and x is given.weight
                dtype = plain(x.reshape(-1)[:0]).dtype
                self.results[i] = own if is_own else empty(x.shape, dtype)
        self.by_hidden = np.zeros((tiles.count if wanted[0] else 0, tiles.features), tiles.real)

    def found(self) -> tuple[Array | None, ...]:
        """All of them; None where they are not wanted."""
        tiles, (by_hidden, by_weight, by_bias) = self.tiles, self.results
        parts = list(slices(tiles.count, tiles.rows))
        for classes in self._blocks():
            sums = (
                _Sum(tiles, "by weight", by_weight, classes),
                _Sum(tiles, "by bias", by_bias, classes),
            )
            for part in parts:
                g, hidden = self._logits(part, classes), tiles.hidden(part)
                if by_hidden is not None:
                    product = tiles.memory("product", len(g), tiles.features)
                    self.by_hidden[part] += np.matmul(g, tiles.weight(classes), out=product)
                sums[0].add(g.T, hidden)
                sums[1].add(g.T, np.full(len(g), tiles.scale, g.dtype))
            for each in sums:
                each.finish()
        if by_hidden is not None:
            by_hidden[...] = 0
            found = self.by_hidden
            if tiles.scale != 1.0:
                found *= tiles.scale
            by_hidden[tiles.index] = narrowed(found, by_hidden.dtype)
        pairs = zip(self.results, tiles.given[:3], strict=True)
        return tuple(None if x is None else named(x, like.dtype) for x, like in pairs)

    def _blocks(self) -> list[slice]:
        """The classes of each tile, so that what is written overwrites no logits that wait."""
        blocks = list(slices(self.tiles.n, self.tiles.classes))
        return blocks if self.tiles.features <= self.tiles.count else blocks[::-1]

    def _logits(self, part: slice, classes: slice) -> Array:
        """The gradient by the products of a tile."""
        tiles, softcap = self.tiles, self.tiles.head.layer.softcap
        is_held = tiles.is_held(classes)
        x = tiles.place(part, classes) if is_held else tiles.logits(part, classes)
        if is_held and softcap is not None:  # which overwrites them, who may be the caller's
            held, x = x, tiles.memory("logits", *x.shape)
            x[...] = held
        in_place = softcap is None and not is_held
        out = x if in_place else tiles.memory("gradient", *x.shape)
        call = tiles.call(part, classes)._replace(x=rows_of(x, -1, True))
        scale, saved = (
            np.ascontiguousarray(tiles.of_rows(y, part)) for y in (self.scale, self.saved)
        )
        engine().gradients(call, scale, saved, out.reshape(-1))
        if softcap is not None:
            by_block(out, lambda g, x: uncap(g, x, softcap), x)
        return out


class _Sum:
    """A sum of products for some classes, written where it belongs."""

    def __init__(self, tiles: Tiles, name: str, result: Array | None, classes: slice) -> None:
        self.tiles, self.name, self.is_empty = tiles, name, True
        self.target = self.total = None if result is None else result[classes]
        # Where logits wait, a part of it may still be read.
        if self.target is not None and (self.target.dtype != tiles.real or tiles.holds):
            self.total = tiles.memory(name, *self.target.shape)

    def add(self, a: Array, b: Array) -> None:
        """Add a product."""
        if self.total is None:
            return
        if self.is_empty:
            np.matmul(a, b, out=self.total)
        else:
            part = self.tiles.memory(f"part of {self.name}", *self.total.shape)
            self.total += np.matmul(a, b, out=part)
        self.is_empty = False

    def finish(self) -> None:
        """Write it, if it was added up elsewhere."""
        if self.target is None or self.total is None:
            return
        if self.is_empty:
            self.target[...] = 0
        elif self.total is not self.target:
            self.target[...] = narrowed(self.total, self.target.dtype)
