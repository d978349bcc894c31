"""Statistics of a linear layer: the logits of some rows are held, and little beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas.linear import Layer, Operands
from xentropy.formulas.statistics import Request

from . import calls
from .memory import widened
from .pool import empty as pooled
from .tiles import LEAST, by_block, finish, slices

__all__ = ["statistics"]

Array = npt.NDArray[Any]

PARTS = 4
"""Of `max_memory`: three are for logits, one for classes whose weight has to be widened."""


@np.errstate(all="ignore")  # infinities and NaN are results here
def statistics(
    layer: Layer, given: Operands, request: Request, empty: Any = pooled
) -> dict[str, Array]:
    """What is asked for, of one row at least, by name; the rank stands for ``correct``, too."""
    real, (n, features) = np.dtype(layer.dtype), given.weight.shape
    count, one = len(given.hidden), layer.max_memory // real.itemsize // PARTS
    # Features, too, may have to be widened or scaled.
    rows = min(max((PARTS - 1) * one // (n + features), 1), count)
    classes = n if given.weight.dtype == real else min(max(one // features, LEAST), n)
    memory, found = np.empty((rows, n), real), dict[str, Array]()
    are_rows = given.are_rows()
    # Rows that are left out take part in no product.
    kept = None if given.keep is None else np.flatnonzero(given.keep)
    for part in slices(count if kept is None else max(len(kept), 1), rows):
        where = part if kept is None else kept[part]
        pairs = zip(given, are_rows, strict=True)
        some = Operands(*(x[where] if is_row else x for x, is_row in pairs))
        x = memory[: len(some.hidden)]
        _multiply(layer, some, classes, x)
        asked = request._replace(x=x, labels=some.labels, class_mask=some.class_mask)
        for name, own in calls.statistics(asked).items():
            if name not in found:
                found[name] = empty((count, *own.shape[1:]), own.dtype)
                found[name][...] = -1 if name == "rank" else 0
            found[name][where] = own
    return found


def _multiply(layer: Layer, some: Operands, classes: int, out: Array) -> None:
    """Write the logits of some rows, from the weights of some classes at a time."""
    real = out.dtype
    scale = real.type(1.0 if layer.scale is None else layer.scale)
    hidden = widened(some.hidden).astype(real, copy=False)
    hidden = hidden if layer.scale is None else hidden * scale
    for part in slices(out.shape[1], classes):
        # Without a name it goes before the next.
        np.matmul(hidden, widened(some.weight[part]).astype(real, copy=False).T, out=out[:, part])
    if some.bias is not None or layer.softcap is not None:
        bias = None if some.bias is None else widened(some.bias).astype(real) * scale
        by_block(out, lambda block: finish(block, bias, layer.softcap))
