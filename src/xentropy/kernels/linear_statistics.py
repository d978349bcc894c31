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
    rows = min(max((PARTS - 1) * one // n, 1), count)
    classes = n if given.weight.dtype == real else min(max(one // features, LEAST), n)
    memory, found = np.empty((rows, n), real), dict[str, Array]()
    are_rows = given.are_rows()
    for part in slices(count, rows):
        pairs = zip(given, are_rows, strict=True)
        some = Operands(*(x[part] if is_row else x for x, is_row in pairs))
        x = memory[: len(some.hidden)]
        _multiply(layer, some, classes, x)
        keep = None if some.keep is None else some.keep[:, None]
        asked = request._replace(x=x, labels=some.labels, class_mask=some.class_mask, keep=keep)
        for name, own in calls.statistics(asked).items():
            if name not in found:
                found[name] = empty((count, *own.shape[1:]), own.dtype)
            found[name][part] = own
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
