"""The softmax cross-entropy whose gradient is ``softmax(x) - t`` whatever the labels sum to."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .numeric import smooth
from .softmax import _cross_entropy as true
from .softmax import _rows
from .weighting import weighted

__all__ = ["softmax_minus_labels"]

_PLAIN = {"class_weight": None, "class_mask": None, "z_loss": None}


def _loss(xp: Namespace, x: Any, t: Any, **options: Any) -> Any:
    return true.value(xp, x, t, **options, **_PLAIN)


def _partials(
    xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, *, axis: int, dtype: str, smoothing: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "x" in wrt:
        rows = _rows(xp, x, axis=axis, dtype=dtype)
        b = smooth(xp, x, t, smoothing, axis)
        # p - b, with the digits of 1 - p where b is 1.
        found["x"] = rows.p * (1.0 - b) - b * rows.q
    if "t" in wrt:
        options = {"axis": axis, "dtype": dtype, "smoothing": smoothing}
        found |= true.partials(xp, ("t",), x, t, **options, **_PLAIN)
    return found


softmax_minus_labels = weighted("softmax_minus_labels", _loss, _partials, prediction="logits")
