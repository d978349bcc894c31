"""Checks of values that cost a pass over the data, on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np

from .errors import InputError, LabelError, XentropyError

if TYPE_CHECKING:
    from .validation import Call

__all__ = ["check_values", "strict"]

_active: ContextVar[bool] = ContextVar("xentropy_strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Check the values of predictions and labels inside this context.

    Each check costs a pass over the data and, on an accelerator, a synchronization; traced and lazy
    arrays are not looked at. Examples that are left out are.

    Raises
    ------
    InputError
        For NaN in predictions, probabilities outside [0, 1], and logits whose rows all lie in [0, 1]
        and sum to 1 (was a softmax applied before the loss?).
    LabelError
        For labels outside [0, 1], and for distributions that do not sum to 1.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> with xentropy.strict():
    ...     xentropy.softmax_cross_entropy(np.zeros((1, 2)), np.array([[0.5, 0.5]]))
    array([0.69314718])
    """
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def check_values(
    call: Call, labels: str | None, *, kind: Literal["logits", "probs", "binary", "binary_logits", "values"]
) -> None:
    """Check a call whose shapes are right; nothing outside `strict`."""
    if not call.backend.eager() or not _active.get():
        return
    x = _kept(call, call.first, call.x)
    if x is None:
        return
    if np.isnan(x).any():
        _refuse(call, InputError, f"`{call.first}` must not hold NaN.", call.first, np.isnan(x))
    if kind in ("probs", "binary"):
        _require_unit(call, InputError, call.first, x)
    elif kind == "logits" and labels and _are_distributions(x, call):
        rule = f"`{call.first}` must be logits, but every row lies in [0, 1] and sums to 1."
        call.fail(InputError, rule, call.first, hint="was a softmax applied before the loss?")
    t = None if labels is None or call.index else _kept(call, labels, call.labels)
    if t is None or labels is None or kind == "values":
        return
    if np.isnan(t).any():
        _refuse(call, LabelError, f"`{labels}` must not hold NaN.", labels, np.isnan(t))
    _require_unit(call, LabelError, labels, t)
    if call.axis is not None and t.ndim and not _sums_to_one(t, call.axis, call.dtype):
        call.fail(LabelError, f"`{labels}` must sum to 1 along axis {call.axis}.", labels)


def _kept(call: Call, name: str, array: Any) -> np.ndarray[Any, Any] | None:
    """The values, with those of examples and classes that are left out replaced by a valid one."""
    host = call.host(name, array, sync=True)
    if host is None:
        return None
    host = host.astype(np.float64)
    neutral = host.flat[0] if host.size else 0.0
    for mask in (call.expand(call.keep), call.class_mask if name == call.first else None):
        values = None if mask is None else call.backend.concrete(mask, sync=True)
        if values is not None:
            kept = np.broadcast_to(values, np.broadcast_shapes(values.shape, host.shape))
            host = np.broadcast_to(host, kept.shape)
            neutral = host[kept].flat[0] if kept.any() else 0.0
            host = np.where(kept, host, neutral)
    return host


def _are_distributions(x: np.ndarray[Any, Any], call: Call) -> bool:
    axis = call.axis
    if axis is None or x.shape[axis] < 2 or not x.size or call.keep is not None:
        return False
    return bool(((x >= 0) & (x <= 1)).all()) and _sums_to_one(x, axis, call.dtype)


def _sums_to_one(x: np.ndarray[Any, Any], axis: int, dtype: str) -> bool:
    if x.shape[axis] == 1:
        return True
    tolerance = x.shape[axis] ** 0.5 * 8 * float(np.finfo(dtype).eps)
    return bool((np.abs(x.sum(axis=axis) - 1.0) <= tolerance).all())


def _require_unit(
    call: Call, error: type[XentropyError], name: str, x: np.ndarray[Any, Any]
) -> None:
    outside = (x < 0) | (x > 1)
    if outside.any():
        _refuse(call, error, f"`{name}` must lie in [0, 1].", name, outside)


def _refuse(
    call: Call, error: type[XentropyError], rule: str, name: str, bad: np.ndarray[Any, Any]
) -> NoReturn:
    where = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
    count = int(bad.sum())
    call.fail(error, f"{rule[:-1]}; {name}[{where}] does not, the first of {count}.", name)
