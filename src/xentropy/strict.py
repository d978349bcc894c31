"""Checks of values that cost a pass over the data, on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from .errors import InputError, LabelError, XentropyError

if TYPE_CHECKING:
    from ._call import Call

__all__ = ["check_head", "check_values", "check_weight", "is_strict", "strict"]

_active: ContextVar[bool] = ContextVar("xentropy_strict", default=False)


@contextmanager
def strict() -> Iterator[None]:
    """Check the values of predictions, labels and weights inside this context.

    Each check costs a pass over the data and, on an accelerator, a synchronization; traced and lazy
    arrays are not looked at, nor are examples that are left out.

    Raises
    ------
    InputError
        For NaN in predictions, weights and denominators, probabilities outside [0, 1], and logits
        whose rows all lie in [0, 1] and sum to 1 (was a softmax applied before the loss?).
    LabelError
        For NaN in labels, labels outside [0, 1], and distributions that do not sum to 1.

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


def is_strict() -> bool:
    """Whether `strict` is active here."""
    return _active.get()


def check_values(
    call: Call,
    labels: str | None,
    *,
    kind: Literal["logits", "probs", "binary", "binary_logits", "values"],
) -> None:
    """Check a call whose shapes are right; nothing outside `strict`."""
    if not call.backend.eager() or not _active.get():
        return
    x = call.host(call.first, call.x, sync=True)
    if x is None:
        return
    x = x.astype(np.float64)
    kept = _kept(call)
    if kept is None:
        return
    classes = np.broadcast_to(kept & _values(call, call.class_mask, True), x.shape)
    _refuse_where(call, InputError, "not be NaN", call.first, np.isnan(x) & classes)
    if kind in ("probs", "binary"):
        outside = _outside_unit(x) & classes
        _refuse_where(call, InputError, "lie in [0, 1]", call.first, outside)
    elif kind == "logits" and labels and _are_distributions(x, classes, call):
        rule = f"`{call.first}` must be logits, but every row lies in [0, 1] and sums to 1."
        hint = "softmax applied twice? Pass what came before it, or use a loss of probabilities."
        call.fail(InputError, rule, call.first, hint=hint)
    if call.sample_weight is not None:
        _check_sample_weight(call, kept)
    if labels is not None and not call.index:
        _check_labels(call, labels, kept, is_distribution=kind != "values")


def check_head(call: Call) -> None:
    """Check the call of a linear layer whose shapes are right; nothing outside `strict`."""
    if not call.backend.eager() or not _active.get():
        return
    kept = _kept(call)
    if kept is None:
        return
    examples = np.asarray(kept.any(axis=-1))
    for name, x, used in (
        ("hidden", call.hidden, examples[..., None]),
        ("weight", call.weight, np.True_),
        ("bias", call.bias, np.True_),
    ):
        host = None if x is None else call.host(name, x, sync=True)
        if host is not None:
            bad = np.isnan(host.astype(np.float64)) & used
            _refuse_where(call, InputError, "not be NaN", name, bad)
    if call.sample_weight is not None:
        _check_sample_weight(call, kept)
    if not call.index and call.given["labels"] is not None:
        _check_labels(call, "labels", kept, is_distribution=True)


def check_weight(call: Call, name: str, array: Any) -> None:
    """Check a weight that belongs to no example, or a denominator; nothing outside `strict`."""
    if call.backend.eager() and _active.get():
        _check_weight(call, name, array, np.True_)


def _check_weight(call: Call, name: str, array: Any, kept: Any) -> None:
    weight = call.host(name, array, sync=True)
    if weight is not None:
        nan = np.asarray(np.isnan(weight.astype(np.float64)) & kept)
        _refuse_where(call, InputError, "not be NaN", name, nan)


def _check_sample_weight(call: Call, kept: np.ndarray[Any, Any]) -> None:
    # An example is kept in all of its classes or in none.
    examples = np.asarray(kept if call.axis is None else kept.any(axis=call.axis))
    weighted = _shrink(examples, tuple(call.sample_weight.shape), examples.shape)
    _check_weight(call, "sample_weight", call.sample_weight, weighted)


def _check_labels(
    call: Call, labels: str, kept: np.ndarray[Any, Any], *, is_distribution: bool
) -> None:
    t = call.host(labels, call.labels, sync=True)
    if t is None:
        return
    t = t.astype(np.float64)
    kept = _shrink(kept, t.shape, call.x.shape)
    _refuse_where(call, LabelError, "not be NaN", labels, np.isnan(t) & kept)
    if not is_distribution:
        return
    _refuse_where(call, LabelError, "lie in [0, 1]", labels, _outside_unit(t) & kept)
    if call.axis is not None and t.ndim and t.shape[call.axis] == call.x.shape[call.axis]:
        given = call.given[labels]
        came = given if hasattr(given, "dtype") else call.labels
        wrong = kept.any(axis=call.axis) & ~_sums_to_one(t, call.axis, call, came)
        _refuse_where(call, LabelError, f"sum to 1 along axis {call.axis}", labels, wrong)


def _kept(call: Call) -> np.ndarray[Any, Any] | None:
    """Where examples are not left out, in the shape of the predictions; None where unreadable."""
    kept: Any = np.True_
    if call.keep is not None:
        kept = _values(call, call.expand(call.keep), None)
    if kept is not None and call.sample_weight is not None:
        weights = _values(call, call.expand(call.sample_weight), None)
        kept = None if weights is None else kept & (weights != 0)
    return None if kept is None else np.broadcast_to(kept, call.x.shape)


def _values(call: Call, array: Any, default: Any) -> Any:
    if array is None:
        return default
    return call.backend.concrete(array, sync=True)


def _shrink(
    kept: np.ndarray[Any, Any], shape: tuple[int, ...], full: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    """Where labels of a shape that is broadcast to ``full`` belong to any kept example."""
    axes = tuple(i for i, (n, m) in enumerate(zip(shape, full, strict=False)) if n != m)
    shrunk: Any = kept.any(axis=axes, keepdims=True) if shape else kept.any()
    return np.asarray(shrunk)


def _are_distributions(x: np.ndarray[Any, Any], kept: np.ndarray[Any, Any], call: Call) -> bool:
    axis = call.axis
    if axis is None or x.shape[axis] < 2 or not kept.any() or (_outside_unit(x) & kept).any():
        return False
    sums = _sums_to_one(np.where(kept, x, 0.0), axis, call, call.x)
    return bool(sums[kept.any(axis=axis)].all())


def _outside_unit(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    outside: np.ndarray[Any, Any] = (x < 0) | (x > 1)
    return outside


_EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def _sums_to_one(x: np.ndarray[Any, Any], axis: int, call: Call, came: Any) -> np.ndarray[Any, Any]:
    """To the rounding of the compute dtype and of the one in which the numbers came."""
    name = came.dtype.name if isinstance(came, np.ndarray) else call.backend.dtype_name(came)
    tolerance = x.shape[axis] ** 0.5 * 8 * max(_EPS[call.dtype], _EPS.get(name, 0.0))
    close: np.ndarray[Any, Any] = np.abs(x.sum(axis=axis) - 1.0) <= tolerance
    return close


def _refuse_where(
    call: Call, error: type[XentropyError], rule: str, name: str, bad: np.ndarray[Any, Any]
) -> None:
    """Refuse ``name`` at the first of the places where it breaks the rule."""
    if not bad.any():
        return
    where = ", ".join(str(int(i)) for i in np.argwhere(bad)[0])
    place = f"{name}[{where}]" if where else name
    count = int(bad.sum())
    others = f", the first of {count}" if count > 1 else ""
    verdict = "is" if rule.startswith("not be ") else "does not"
    call.fail(error, f"`{name}` must {rule}; {place} {verdict}{others}.", name)
