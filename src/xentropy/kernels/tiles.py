"""Tiles of the logits of a linear layer: of some rows and classes, for the kernels of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas.linear import Head, Layer, Operands

from .by_row import Call, Numbers
from .engine import engine
from .memory import ABSENT, rows_of, widened
from .threads import run

__all__ = ["LEAST", "Tiles", "by_block", "finish", "room", "shares_of", "slices", "uncap"]

Array = npt.NDArray[Any]

ROWS = 2048
"""Rows of a tile, at most: the products of more are no faster."""
LEAST = 64
"""Classes of a tile, at least."""
ENOUGH = 2**26
"""Bytes of `max_memory` for tiles, at most: larger ones are no faster. The rest may hold logits."""
PARTS = 4
"""Of these: logits, their gradient, a product with it, and a part of that of the weight.

Twice as many where features and weight have to be widened.
"""


class Tiles:
    """The logits of some rows and classes, one tile after the other, in the same memory."""

    def __init__(self, head: Head, given: Operands, index: Array | slice) -> None:
        self.head, self.given, self.index = head, given, index
        self.real: Any = np.dtype(head.layer.dtype)
        self.scale = self.real.type(1.0 if head.layer.scale is None else head.layer.scale)
        self.n, self.features = given.weight.shape
        self.count = index.stop if isinstance(index, slice) else index.size
        self.numbers = Numbers(float(head.smoothing or 0.0), float(head.z_loss or 0.0))
        is_wide = given.hidden.dtype == given.weight.dtype == self.real
        parts = PARTS if is_wide else 2 * PARTS
        mask = given.class_mask
        parts += bool(head.smoothing and mask is not None and len(mask) > 1)  # what it shares out
        most = max(min(head.layer.max_memory, ENOUGH) // parts // self.real.itemsize, LEAST)
        self.rows = max(min(self.count, ROWS, most // max(LEAST, self.features)), 1)
        self.classes = min(self.n, max(most // max(self.rows, self.features), LEAST))
        self._memory: dict[str, Array] = {}
        self._most, self._hidden = most, dict[int, Array]()
        self._weight: tuple[int, Array] | None = None
        self._share = shares_of(head, given)
        self._held: list[Array] = []

    def spare(self, taken: Array | None) -> int:
        """Numbers that memory beyond that of tiles may hold, after what is ``taken`` holds some."""
        block = self.count * self.classes
        held = 0 if taken is None else taken.size // block * block
        left, most = max(self.count * self.n - held, 0), room(self.head.layer)
        return left if left <= most else most // block * block

    def hold(self, memories: list[Array]) -> None:
        """Let the logits of as many blocks of classes as fit lie in such memory."""
        sizes = [self.count * (s.stop - s.start) for s in slices(self.n, self.classes)]
        self._held = []
        for memory in memories:
            rest = memory.reshape(-1)
            for size in sizes[len(self._held) :]:
                if size > rest.size:
                    break
                self._held.append(rest[:size])
                rest = rest[size:]

    @property
    def holds(self) -> bool:
        """Whether some logits are held."""
        return bool(self._held)

    def is_held(self, classes: slice) -> bool:
        """Whether the logits of these classes are."""
        return bool(classes.start // self.classes < len(self._held))

    def __iter__(self) -> Iterator[tuple[slice, slice]]:
        """The rows and the classes of each tile; all rows of some classes first."""
        for classes in slices(self.n, self.classes):
            for part in slices(self.count, self.rows):
                yield part, classes

    def memory(self, name: str, *shape: int) -> Array:
        """An array that lives as long as the tiles."""
        size = int(np.prod(shape))
        if name not in self._memory or self._memory[name].size < size:
            self._memory[name] = np.empty(size, self.real)
        return self._memory[name][:size].reshape(shape)

    def of_rows(self, x: Array, part: slice) -> Array:
        """What an array has for some of the rows that are not left out."""
        if isinstance(self.index, slice):
            return x[part]
        return x[self.index[part]]

    def hidden(self, part: slice) -> Array:
        """The features of some rows, times the scale, in the compute dtype."""
        if part.start not in self._hidden:
            found = self._make_hidden(part)
            if self.count * self.features > self._most:
                return found
            self._hidden[part.start] = found
        return self._hidden[part.start]

    def _make_hidden(self, part: slice) -> Array:
        x = widened(self.of_rows(self.given.hidden, part)).astype(self.real, copy=False)
        return x if self.scale == 1.0 else x * self.scale

    def weight(self, classes: slice) -> Array:
        """The weight of some classes, in the compute dtype."""
        if self._weight is None or self._weight[0] != classes.start:
            found = widened(self.given.weight[classes]).astype(self.real, copy=False)
            self._weight = classes.start, found
        return self._weight[1]

    def place(self, part: slice, classes: slice) -> Array:
        """Where the logits of a tile are to lie."""
        count, n = part.stop - part.start, classes.stop - classes.start
        if not self.is_held(classes):
            return self.memory("logits", count, n)
        block = self._held[classes.start // self.classes]
        return block[part.start * n : part.stop * n].reshape(count, n)

    def logits(self, part: slice, classes: slice) -> Array:
        """The logits of a tile."""
        layer, bias = self.head.layer, self.given.bias
        hidden, weight = self.hidden(part), self.weight(classes)
        z = self.place(part, classes)
        np.matmul(hidden, weight.T, out=z)
        if bias is not None or layer.softcap is not None:
            added = None
            if bias is not None:
                added = widened(bias[classes]).astype(self.real) * self.scale
            by_block(z, lambda block: finish(block, added, layer.softcap))
        return z

    def call(self, part: slice, classes: slice) -> Call:
        """A call of a kernel on a tile, but for its logits."""
        given, n, real = self.given, classes.stop - classes.start, self.real
        count, labels, t = part.stop - part.start, ABSENT, np.empty((0, n), real)
        if self.head.is_index:
            y = self.of_rows(given.labels, part).reshape(-1).astype(np.int64)
            # Of other tiles, and those that are none, are none here.
            labels = np.where((y >= classes.start) & (y < classes.stop), y - classes.start, -1)
        else:
            t = _part_of(given.labels, self, part, classes)
            t = np.broadcast_to(np.asarray(widened(t), real), (count, n))
        class_weight, mask = np.empty(0, real), np.empty((1, 0), np.bool_)
        if given.class_weight is not None:
            every = np.broadcast_to(widened(given.class_weight), (self.n,))
            class_weight = np.ascontiguousarray(every[classes], real)
        if given.class_mask is not None:
            mask = _part_of(given.class_mask, self, part, classes)
            mask = np.ascontiguousarray(np.broadcast_to(mask, (len(mask), n)))
        shares = np.empty((1, 0), real)
        if self._share is not None:
            share = self._share if len(self._share) == 1 else self.of_rows(self._share, part)
            kept = mask if mask.size else np.ones((1, n), np.bool_)
            rows = max(len(share), len(kept))
            shares = self.memory("shares", rows, n)
            factors = (np.broadcast_to(x, (rows, x.shape[1])) for x in (share, kept))
            by_block(shares, partial(_share_out, class_weight=class_weight), *factors)
        return Call(
            "index" if self.head.is_index else "dense",
            (count,),
            rows_of(np.empty((1, 1), real), -1, True),
            labels,
            rows_of(t, -1, engine().BY_STRIDES),
            class_weight,
            shares,
            mask,
            self.numbers,
            np.empty(0),
        )


def room(layer: Layer) -> int:
    """Numbers for which `max_memory` has room beyond tiles."""
    return max(layer.max_memory - ENOUGH, 0) // np.dtype(layer.dtype).itemsize


def slices(count: int, step: int) -> Iterator[slice]:
    """One after the other, of that length."""
    return (slice(i, min(i + step, count)) for i in range(0, count, step))


def _share_out(out: Array, share: Array, kept: Array, *, class_weight: Array) -> None:
    """What smoothing gives each class, from products in float64."""
    each = share * kept
    out[...] = each * class_weight if class_weight.size else each


def _part_of(x: Array, tiles: Tiles, part: slice, classes: slice) -> Array:
    """Of an array of one row for each, or one for all, and of one column for each, or for all."""
    x = x.reshape((1, 1)) if x.ndim == 0 else x
    x = x if x.shape[1] == 1 else x[:, classes]
    return x if x.shape[0] == 1 else tiles.of_rows(x, part)


def shares_of(head: Head, given: Operands) -> Array | None:
    """What smoothing gives a class that is kept, (N or 1, 1), but for its weight."""
    n, smoothing = given.weight.shape[0], float(head.smoothing or 0.0)
    if not smoothing:
        return None
    if given.class_mask is None:
        return np.full((1, 1), smoothing / n)
    mask = given.class_mask
    count = np.count_nonzero(mask, axis=1, keepdims=True) * (n // mask.shape[1])
    return np.asarray(smoothing / np.maximum(count, 1))


def by_block(x: Array, work: Callable[..., None], *others: Array) -> None:
    """Work on some rows after the other, in threads."""

    def some(start: int, stop: int) -> int:
        with np.errstate(all="ignore"):
            work(x[start:stop], *(other[start:stop] for other in others))
        return 0

    run(some, (), len(x), x.size)


def finish(z: Array, bias: Array | None, softcap: float | None) -> None:
    """Add the bias and cap, in place."""
    if bias is not None:
        z += bias
    if softcap is not None:
        cap = z.dtype.type(softcap)
        np.divide(z, cap, out=z)
        np.tanh(z, out=z)
        np.multiply(z, cap, out=z)


def uncap(g: Array, x: Array, softcap: float) -> None:
    """Multiply with the derivative of the cap, in place; ``x`` is overwritten."""
    x /= x.dtype.type(softcap)
    g *= 1 - x
    x += 1
    g *= x
