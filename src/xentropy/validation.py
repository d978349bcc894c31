"""The checks of a call: what came is normalized, or refused in terms of the call."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any, Literal, NoReturn

import numpy as np

from .dispatch import Backend, is_weak, message, resolve
from .errors import DTypeError, LabelError, OptionError, ShapeError, XentropyError
from .formulas.formula import Formula, along
from .strict import check_values

__all__ = ["Call", "class_vector", "elementwise", "number", "rows", "smoothing"]

_FLOATS = ("float16", "bfloat16", "float32", "float64", "float8")
_REDUCTIONS = ("none", "sum", "mean", "partial")


class Call:
    """One call of a public function: its name, its arguments as they came, and its backend.

    After `elementwise` or `rows` have checked it, the attributes hold the normalized arguments.
    """

    x: Any
    labels: Any
    index: bool
    axis: int | None
    dtype: str
    sample_weight: Any = None
    keep: Any = None
    class_weight: Any = None
    class_mask: Any = None

    def __init__(self, name: str, /, *, reduction: Any = "none", **given: Any) -> None:
        self.name = name
        self.given = given
        self.reduction = reduction
        self.backend: Backend = resolve(name, given)
        self.first = next(iter(given))
        _reduction(self)

    @property
    def denominator(self) -> Any:
        """The caller's denominator as a 0-d array."""
        if self.given.get("denominator") is None:
            return None
        return self.array("denominator")

    def fail(
        self, error: type[XentropyError], rule: str, *shown: str, hint: str = ""
    ) -> NoReturn:
        """Raise ``error``, showing the named arguments."""
        raise error(message(self.name, rule, {k: self.given[k] for k in shown}, hint)) from None

    def kind(self, x: Any) -> str:
        """``float``, ``int``, ``bool`` or ``other``."""
        name = self.backend.dtype_name(x)
        if name.startswith(_FLOATS):
            return "float"
        if name.startswith(("int", "uint")):
            return "int"
        return "bool" if name == "bool" else "other"

    def cast(self, x: Any, dtype: str | None = None) -> Any:
        """``x`` in ``dtype``, by default the compute dtype."""
        return self.backend.xp.astype(x, getattr(self.backend.xp, dtype or self.dtype))

    def array(self, name: str) -> Any:
        """The argument as an array of the call's family; weak floats in the compute dtype."""
        x = self.given[name]
        if x is None or not is_weak(x):
            return x
        is_array = isinstance(x, np.ndarray)
        if is_array and self.backend.owns(x):
            return x
        try:
            host = np.asarray(x)
        except ValueError:
            self.fail(ShapeError, f"`{name}` must be a regular array, not a ragged list.", name)
        if host.dtype.kind == "f" or "float" in host.dtype.name:
            host = host.astype(self.dtype)
        like = None if is_weak(self.given[self.first]) else self.given[self.first]
        return self.backend.asarray(host, like)

    def host(self, name: str, array: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        """The values of an argument, where they can be read."""
        given = self.given[name]
        if is_weak(given):
            return np.asarray(given)
        return self.backend.concrete(array, sync=sync)

    def apply(self, formula: Formula, *extra: Any, **options: Any) -> Any:
        """Evaluate a loss formula on the checked arguments; ``extra`` stand between labels and weights."""
        keep, labels = self.keep, self.labels
        if self.axis is not None:
            options["axis"] = self.axis
            keep = self.expand(keep)
        options["dtype"] = self.dtype
        arrays = (self.x, labels, *extra, self.sample_weight, keep)
        return self.backend.apply(formula, arrays, options)

    def expand(self, x: Any) -> Any:
        """A per-example array with the class axis as length 1."""
        if x is None or self.axis is None or (x.ndim == 0 and self.x.ndim > 1):
            return x
        return self.backend.xp.expand_dims(x, axis=self.axis)


def number(
    call: Call,
    name: str,
    value: Any,
    rule: str = "a finite number",
    accept: Callable[[float], bool] = math.isfinite,
) -> float:
    """A numeric option, rounded to the compute dtype."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not real or not accept(float(value)):
        raise OptionError(message(call.name, f"`{name}` must be {rule}.", {name: value}))
    return float(np.dtype(call.dtype).type(value))


def smoothing(call: Call, value: Any) -> float | None:
    """`label_smoothing`, None where it changes nothing."""
    s = number(call, "label_smoothing", value, "in [0, 1]", lambda s: 0.0 <= s <= 1.0)
    return s or None


def elementwise(
    call: Call, labels: str, kind: Literal["binary", "binary_logits", "values"]
) -> None:
    """Check a loss whose predictions and labels are compared element by element."""
    _predictions(call, labels)
    call.axis = None
    call.index = False
    call.labels = _dense(call, labels)
    _example_weights(call, labels)
    check_values(call, labels, kind=kind)


def rows(
    call: Call,
    labels: Literal["index", "dense", "either", "none"],
    *,
    axis: Any,
    ignore_index: Any = None,
    kind: Literal["logits", "probs"] = "logits",
    mask: str = "class_mask",
) -> None:
    """Check a loss of rows along ``axis``: labels, class weights and masks, example weights."""
    _predictions(call, "labels" if "labels" in call.given else None)
    call.axis = _axis(call, axis)
    n = call.x.shape[call.axis]
    if n == 0:
        call.fail(ShapeError, f"`{call.first}` must have at least one class.", call.first)
    call.class_weight = class_vector(call, "class_weight")
    call.class_mask = _class_mask(call, mask)
    if labels == "none":
        call.index = False
        check_values(call, None, kind=kind)
        return
    given = call.array("labels")
    call.index = _is_index(call, given, labels)
    ignored = None
    if call.index:
        ignored = _index(call, given, ignore_index)
    else:
        call.labels = _dense(call, "labels")
        if ignore_index is not None and labels == "either":
            _integer(call, "ignore_index", ignore_index)
    _example_weights(call, "labels", ignored)
    if call.index:
        _check_labels(call, given, n, ignore_index)
    check_values(call, "labels", kind=kind)


def _reduction(call: Call) -> None:
    mode, denominator = call.reduction, call.given.get("denominator")
    if mode not in _REDUCTIONS:
        rule = f"`reduction` must be one of {', '.join(map(repr, _REDUCTIONS))}."
        raise OptionError(message(call.name, rule, {"reduction": mode}))
    if denominator is None:
        return
    if mode != "mean":
        rule = "`denominator` goes with reduction='mean'."
        shown = {"reduction": mode, "denominator": denominator}
        raise OptionError(message(call.name, rule, shown))
    array = np.asarray(denominator) if is_weak(denominator) else denominator
    if array.ndim:
        call.fail(ShapeError, "`denominator` must be a number or a 0-d array.", "denominator")
    name = array.dtype.name if is_weak(denominator) else call.backend.dtype_name(array)
    if not name.startswith((*_FLOATS, "int", "uint")):
        call.fail(DTypeError, "`denominator` must be a real number.", "denominator")


def class_vector(call: Call, name: str) -> Any:
    """A weight for each class: 0-d or ``(C,)``; for elementwise losses ``C`` is the last axis."""
    array = call.given.get(name)
    if array is None:
        return None
    array = call.array(name)
    kind = call.kind(array)
    if kind == "other":
        call.fail(DTypeError, f"`{name}` must be real.", name)
    axis = -1 if call.axis is None else call.axis
    n = call.x.shape[axis] if call.x.ndim else 1
    if array.ndim > 1 or (array.ndim == 1 and not _fits(array.shape[0], n)):
        call.fail(
            ShapeError, f"`{name}` must be 0-d or have one entry a class, ({n},).", call.first, name
        )
    return array if kind == "float" else call.cast(array)


def _predictions(call: Call, labels: str | None) -> None:
    name = call.first
    given = call.given[name]
    if is_weak(given) and not isinstance(given, np.ndarray):
        call.dtype = "float64"
        host = np.asarray(given) if _regular(given) else None
        if host is None or host.dtype.kind not in "biuf":
            call.fail(DTypeError, f"`{name}` must be real floating.", name)
        strong = [v for v in call.given.values() if v is not None and not is_weak(v)]
        host = host.astype(call.backend.default_float())
        call.x = call.backend.asarray(host, strong[0] if strong else None)
        call.given = {**call.given, name: call.x}
    else:
        call.x = given
    if call.kind(call.x) != "float":
        _refuse_predictions(call, labels)
    call.dtype = "float64" if call.backend.dtype_name(call.x) == "float64" else "float32"


def _regular(x: Any) -> bool:
    try:
        np.asarray(x)
    except ValueError:
        return False
    return True


def _refuse_predictions(call: Call, labels: str | None) -> NoReturn:
    name, hint = call.first, "cast it to a floating dtype."
    other = call.given.get(labels) if labels else None
    if other is not None and call.kind(call.x) == "int":
        array = np.asarray(other) if is_weak(other) else other
        backend_kind = array.dtype.name if isinstance(array, np.ndarray) else call.backend.dtype_name(array)
        if str(backend_kind).startswith(_FLOATS):
            hint = f"are `{name}` and `{labels}` swapped? The prediction comes first."
    shown = [name, labels] if other is not None and labels else [name]
    call.fail(DTypeError, f"`{name}` must be real floating.", *shown, hint=hint)


def _axis(call: Call, axis: Any) -> int:
    """The axis counted from the end."""
    ndim = call.x.ndim
    if ndim == 0:
        call.fail(ShapeError, f"`{call.first}` must have a class axis.", call.first)
    ok = isinstance(axis, numbers.Integral) and not isinstance(axis, bool)
    if not ok or not -ndim <= int(axis) < ndim:
        rule = f"`axis` must be an int in [{-ndim}, {ndim})."
        raise OptionError(message(call.name, rule, {"axis": axis, call.first: call.x}))
    return int(axis) % ndim - ndim


def _fits(n: Any, want: Any) -> bool:
    return n is None or want is None or n == want or n != n or want != want


def _broadcasts(shape: Any, full: Any) -> bool:
    return len(shape) == len(full) and all(
        n == 1 or _fits(n, want) for n, want in zip(shape, full, strict=True)
    )


def _dense(call: Call, name: str) -> Any:
    """Labels or targets of the rank of the predictions, in a floating dtype."""
    array = call.array(name)
    kind = call.kind(array)
    if kind == "other":
        call.fail(DTypeError, f"`{name}` must be floating, integer or bool.", call.first, name)
    if array.ndim and not _broadcasts(array.shape, call.x.shape):
        rule = f"`{name}` must be 0-d or have the rank of `{call.first}`, with every dimension equal or 1."
        hint = ""
        if array.ndim < call.x.ndim:
            hint = f"give row labels their axis: {name}[:, None]."
        call.fail(ShapeError, rule, call.first, name, hint=hint)
    return array if kind == "float" else call.cast(array)


def _is_index(call: Call, labels: Any, accepted: str) -> bool:
    if accepted != "either":
        return accepted == "index"
    if labels.ndim == call.x.ndim:
        return False
    if labels.ndim == call.x.ndim - 1:
        return True
    rule = f"`labels` must be indices with the shape of `{call.first}` without axis {call.axis}, or a distribution of its rank."
    call.fail(ShapeError, rule, call.first, "labels")


def _index(call: Call, labels: Any, ignore_index: Any) -> Any:
    """Check index labels and widen them; returns which are not ignored, or None."""
    kind, axis = call.kind(labels), call.axis
    assert axis is not None
    if kind != "int":
        hints = {
            "bool": "for one-hot or multi-label masks use a loss of distributions or a sigmoid loss.",
            "float": "cast class indices to an integer dtype; distributions have the rank of the logits.",
        }
        rule = "`labels` must be integers, the index of a class each."
        call.fail(DTypeError, rule, call.first, "labels", hint=hints.get(kind, ""))
    shape = tuple(call.x.shape)
    want = shape[: axis % len(shape)] + shape[axis % len(shape) + 1 :]
    if len(labels.shape) != len(want) or not all(map(_fits, labels.shape, want)):
        rule = f"`labels` must have the shape of `{call.first}` without axis {axis}, {want}."
        hint = _shape_hint(call, tuple(labels.shape), want)
        call.fail(ShapeError, rule, call.first, "labels", hint=hint)
    bounds = np.iinfo(call.backend.dtype_name(labels))
    wide = call.cast(labels, call.backend.index_dtype(labels))
    call.labels = call.expand(wide)
    if ignore_index is None:
        return None
    k = _integer(call, "ignore_index", ignore_index)
    if not bounds.min <= k <= bounds.max:
        return None
    width = np.iinfo(call.backend.dtype_name(wide))
    return wide != (k if k <= width.max else k - 2**width.bits)


def _integer(call: Call, name: str, value: Any) -> int:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise OptionError(message(call.name, f"`{name}` must be an int.", {name: value}))
    return int(value)


def _shape_hint(call: Call, shape: tuple[int, ...], want: tuple[int, ...]) -> str:
    if len(shape) == len(want) == 2 and shape[0] == want[0] and abs(shape[1] - want[1]) == 1:
        return "shift both or neither: logits[:, :-1] with labels[:, 1:]."
    if shape == (*want, 1):
        return "drop the last axis: labels[..., 0]."
    if shape == tuple(call.x.shape):
        return "these are distributions: use the loss without `sparse` in its name."
    for axis in range(call.x.ndim):
        full = tuple(call.x.shape)
        if shape == full[:axis] + full[axis + 1 :]:
            return f"are the classes on another axis? Pass axis={axis}."
    return ""


def _class_mask(call: Call, name: str) -> Any:
    if call.given.get(name) is None:
        return None
    mask = call.array(name)
    axis = call.axis
    assert axis is not None
    _require_bool(call, name, mask)
    n = call.x.shape[axis]
    if mask.ndim == 1 and _fits(mask.shape[0], n):
        return call.backend.xp.reshape(mask, along(axis, call.x.ndim))
    if mask.ndim and not _broadcasts(mask.shape, call.x.shape):
        rule = f"`{name}` must have one entry a class, ({n},), or the rank of `{call.first}` with every dimension equal or 1."
        call.fail(ShapeError, rule, call.first, name)
    return mask


def _require_bool(call: Call, name: str, mask: Any) -> None:
    if call.kind(mask) != "bool":
        hint = f"pass {name} != 0." if call.kind(mask) == "int" else ""
        call.fail(DTypeError, f"`{name}` must be bool; True keeps.", name, hint=hint)


def _example_weights(call: Call, labels: str, ignored: Any = None) -> None:
    """Check `sample_weight` and `where`; ``keep`` is where both the mask and the labels keep."""
    shape = tuple(call.x.shape)
    if call.axis is not None:
        i = call.axis % len(shape)
        shape = shape[:i] + shape[i + 1 :]
    for name in ("sample_weight", "where"):
        if call.given.get(name) is None:
            continue
        array = call.array(name)
        if array.ndim and not _broadcasts(array.shape, shape):
            rule = f"`{name}` must be 0-d or have the rank of the losses, {shape}, with every dimension equal or 1."
            hint = f"give it the missing axes: {name}[:, None]." if array.ndim < len(shape) else ""
            call.fail(ShapeError, rule, call.first, name, hint=hint)
        if name == "where":
            _require_bool(call, name, array)
            call.keep = array
        elif call.kind(array) == "other":
            call.fail(DTypeError, "`sample_weight` must be real.", name)
        else:
            call.sample_weight = array if call.kind(array) == "float" else call.cast(array)
    if ignored is not None:
        call.keep = ignored if call.keep is None else call.keep & ignored


def _check_labels(call: Call, labels: Any, n: Any, ignore_index: Any) -> None:
    """Refuse indices outside ``[0, n)`` where labels, masks and weights can be read for free."""
    host = call.host("labels", labels)
    if host is None or n is None or not host.size:
        return
    if int(host.min()) >= 0 and int(host.max()) < n:
        return
    bad = (host < 0) | (host >= n)
    if ignore_index is not None:
        bad &= host != int(ignore_index)
    for name in ("where", "sample_weight"):
        if call.given.get(name) is not None and bad.any():
            weight = call.host(name, call.given[name])
            if weight is None:
                return
            bad &= weight != 0
    if bad.any():
        _refuse_labels(call, host, bad, n)


def _refuse_labels(
    call: Call, host: np.ndarray[Any, Any], bad: np.ndarray[Any, Any], n: int
) -> NoReturn:
    where = tuple(int(i) for i in np.argwhere(bad)[0])
    k = int(host[where])
    place = f"labels[{', '.join(map(str, where))}]" if where else "labels"
    count = int(bad.sum())
    others = f", the first of {count}" if count > 1 else ""
    text = message(
        call.name,
        f"`labels` must lie in [0, {n}), or be left out; {place} is {k}{others}.",
        {call.first: call.x, "labels": call.given["labels"]},
        hint=f"to leave out such examples pass ignore_index={k}." if k < 0 else "",
    )
    raise LabelError(text)


