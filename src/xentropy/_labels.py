"""The checks of index labels: shape, dtype, and, where they can be read, range."""

from __future__ import annotations

import numbers
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .dispatch import message
from .errors import DTypeError, LabelError, OptionError, ShapeError

if TYPE_CHECKING:
    from ._call import Call

__all__ = ["check_index_labels", "integer", "keep_of_index", "same", "unknown"]


def integer(call: Call, name: str, value: Any) -> int:
    """Return an integer option."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise OptionError(message(call.name, f"`{name}` must be an int.", {name: value}))
    return int(value)


def keep_of_index(call: Call, labels: Any, ignore_index: int | None) -> Any:
    """Check index labels and widen them; returns which are not ignored, or None."""
    assert call.axis is not None
    shape, full = tuple(labels.shape), tuple(call.x.shape)
    axis = call.axis % len(full)
    want = full[:axis] + full[axis + 1 :]
    exact = _exact(call, labels)
    if call.kind(labels) != "int" and exact is None:
        rule = "`labels` must be integers, the index of a class each."
        hint = _dtype_hint(call.kind(labels), shape == full)
        call.fail(DTypeError, rule, call.first, "labels", hint=hint)
    if len(shape) != len(want) or not all(map(same, shape, want)):
        rule = f"`labels` must have the shape of `{call.first}` without axis {call.axis}, {want}."
        # The classes of a linear layer lie on no other axis.
        others = range(len(full)) if call.hidden is None else range(0)
        hint = _shape_hint(call.first, shape, full, axis, others)
        call.fail(ShapeError, rule, call.first, "labels", hint=hint)
    if exact is not None:
        # Of wrong labels -1 is one in every dtype.
        fitting = np.where((exact >= 0) & (exact < 2**31), exact, -1)
        labels = call.adopt(fitting.astype(np.int64))
    dtype = call.backend.dtype_name(labels)
    wide = call.cast(labels, call.backend.index_dtype(labels))
    call.labels = call.expand(wide)
    if ignore_index is not None and exact is not None:
        return call.adopt(np.asarray(exact != ignore_index))
    if ignore_index is None or not _holds(dtype, ignore_index):
        return None
    widest = call.backend.dtype_name(wide)
    # A label beyond the widest signed integer has wrapped there.
    wrapped = 0 if _holds(widest, ignore_index) else 2 ** int(widest.removeprefix("int"))
    return wide != call.backend.number(ignore_index - wrapped, wide)


def _exact(call: Call, labels: Any) -> np.ndarray[Any, Any] | None:
    """Integers that the dtype of the family does not hold: as they came, or as objects."""
    given = call.given["labels"]
    if isinstance(given, (int, list, tuple, np.ndarray)) and call.backend.eager():
        host = np.asarray(given)
        narrow = call.kind(labels) == "int" and call.backend.index_dtype(labels) == "int32"
        if narrow and host.size and host.dtype.kind in "iu":
            return host if host.min() < -(2**31) or host.max() >= 2**31 else None
    listed = isinstance(given, (int, list, tuple)) and call.backend.eager()
    if not listed or call.kind(labels) == "int":
        return None
    host = np.asarray(given, dtype=object)
    whole = all(isinstance(k, numbers.Integral) and not isinstance(k, bool) for k in host.flat)
    return host if whole and host.size else None


def same(n: Any, want: Any) -> bool:
    """Whether two dimensions are equal, or may be where one is traced or both are unknown."""
    return bool(n is None or want is None or n == want or (n != n and want != want))


def unknown(shape: Any) -> str:
    """What to do about dimensions that Dask does not know, which are NaN; "" of none."""
    is_known = all(n == n for n in shape)
    return "" if is_known else "call compute_chunk_sizes() of the arrays of unknown length."


def _holds(dtype: str, k: int) -> bool:
    """Whether an integer dtype, of any width, holds ``k``."""
    bits = int(dtype.lstrip("uint"))
    low, high = (0, 1 << bits) if dtype.startswith("u") else (-1 << (bits - 1), 1 << (bits - 1))
    return low <= k < high


def _dtype_hint(kind: str, is_full: bool) -> str:
    if is_full and kind in ("bool", "float"):
        return "these are distributions: use the loss without `sparse` in its name."
    hints = {
        "bool": "for one-hot or multi-label masks use a loss of distributions or a sigmoid loss.",
        "float": "cast class indices to an integer dtype; distributions have the rank of "
        "the predictions.",
    }
    return hints.get(kind, "")


def _shape_hint(
    first: str, shape: tuple[int, ...], full: tuple[int, ...], axis: int, others: range
) -> str:
    want = full[:axis] + full[axis + 1 :]
    if len(shape) == len(want) and unknown(shape + want):
        return unknown(shape + want)
    if len(shape) == len(want) == 2 and shape[0] == want[0] and abs(shape[1] - want[1]) == 1:
        return f"shift both or neither: {first}[:, :-1] with labels[:, 1:]."
    if shape == (*want, 1):
        return "drop the last axis: labels[..., 0]."
    if shape == full:
        return "these are distributions: use the loss without `sparse` in its name."
    for other in others:
        if shape == full[:other] + full[other + 1 :]:
            return f"are the classes on another axis? Pass axis={other}."
    return ""


def check_index_labels(call: Call, labels: Any, n: Any, ignore_index: int | None) -> None:
    """Refuse indices outside ``[0, n)`` where labels, masks and weights can be read for free."""
    exact = _exact(call, labels)
    host = call.host("labels", labels) if exact is None else exact
    if host is None or n is None or not host.size:
        return
    if int(host.min()) >= 0 and int(host.max()) < n:
        return
    bad = np.asarray((host < 0) | (host >= n))
    if ignore_index is not None:
        bad &= host != ignore_index
    for name in ("where", "sample_weight"):
        if call.given.get(name) is not None and bad.any():
            weight = call.host(name, call.given[name])
            if weight is None:
                return
            bad &= weight != 0
    if bad.any():
        _refuse(call, host, bad, n)


def _refuse(call: Call, host: np.ndarray[Any, Any], bad: np.ndarray[Any, Any], n: int) -> NoReturn:
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    k = int(host[where])
    place = f"labels[{', '.join(map(str, where))}]" if where else "labels"
    count = int(bad.sum())
    others = f", the first of {count}" if count > 1 else ""
    text = message(
        call.name,
        f"`labels` must lie in [0, {n}), or be left out; {place} is {k}{others}.",
        {name: call.given[name] for name in (*call.rows[1], "labels")},
        hint=f"to leave out such examples pass ignore_index={k}." if k < 0 else "",
    )
    raise LabelError(text)
