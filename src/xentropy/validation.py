"""The checks of a call: what came is normalized, or refused in terms of the call."""

from __future__ import annotations

import numbers
from typing import Any, Literal, NoReturn

import numpy as np

from . import _steps as steps
from ._call import Call, Logits
from ._labels import check_index_labels, integer, keep_of_index, same, unknown
from ._lengths import agreeing, learn_features, learn_lengths
from .cotangent import without
from .dispatch import is_weak, message
from .errors import DTypeError, OptionError, ShapeError, UnsupportedError
from .formulas.formula import along
from .strict import check_head, check_values, check_weight

__all__ = ["class_vector", "elementwise", "head", "rows"]

_PREDICTIONS = ("float16", "bfloat16", "float32", "float64", "float8")


def elementwise(
    call: Call, labels: str, kind: Literal["binary", "binary_logits", "values"]
) -> None:
    """Check a loss whose predictions and labels are compared element by element."""
    _predictions(call, labels)
    _required(call, labels)
    call.axis = None
    call.index = False
    call.labels = _dense(call, labels)
    _example_weights(call)
    learn_lengths(call)
    check_values(call, labels, kind=kind)


_Labels = Literal["index", "dense", "either", "none"]


def rows(
    call: Call,
    labels: _Labels,
    *,
    axis: Any,
    ignore_index: Any = None,
    kind: Literal["logits", "probs"] = "logits",
    mask: str = "class_mask",
) -> None:
    """Check a loss of rows along ``axis``: labels, class weights and masks, example weights."""
    _predictions(call, "labels" if "labels" in call.given else None)
    call.axis = _axis(call, axis)
    _classes(call, labels, ignore_index, mask)
    learn_lengths(call)
    check_values(call, None if labels == "none" else "labels", kind=kind)


def head(call: Call, labels: _Labels, *, ignore_index: Any) -> None:
    """Check the loss of a linear layer, whose arguments are `hidden`, `weight` and `bias`."""
    _predictions(call, "labels")
    hidden = call.hidden = call.x
    if hidden.ndim == 0 or hidden.shape[-1] == 0:
        rule = "`hidden` must have features along its last axis, one at least."
        call.fail(ShapeError, rule, "hidden")
    weight = call.weight = _of_layer(call, "weight")
    if weight.ndim != 2 or not same(weight.shape[1], hidden.shape[-1]):
        rule = "`weight` must be of shape (classes, features), its last axis that of `hidden`."
        turned = weight.ndim == 2 and same(weight.shape[0], hidden.shape[-1])
        hint = "transpose it: weight.T." if turned else ""
        call.fail(ShapeError, rule, "hidden", "weight", hint=hint)
    learn_features(call)
    if call.given["bias"] is not None:
        call.bias = _of_layer(call, "bias")
        if call.bias.ndim != 1 or not same(call.bias.shape[0], weight.shape[0]):
            rule = f"`bias` must have one entry a class, ({weight.shape[0]},)."
            call.fail(ShapeError, rule, "weight", "bias")
    call.x = Logits((*hidden.shape[:-1], weight.shape[0]))
    call.axis = -1
    call.bias = agreeing(call, call.bias, [-1], exact=True)
    _classes(call, labels, ignore_index, "class_mask")
    learn_lengths(call)
    check_head(call)


def _of_layer(call: Call, name: str) -> Any:
    """An array of the layer, which must be floating."""
    _required(call, name)
    array = call.array(name)
    if not call.backend.dtype_name(array).startswith(_PREDICTIONS):
        hint = "cast it to a floating dtype."
        call.fail(DTypeError, f"`{name}` must be real floating.", name, hint=hint)
    return array


def _classes(call: Call, labels: _Labels, ignore_index: Any, mask: str) -> None:
    """Check labels, class weights and masks, and example weights."""
    assert call.axis is not None
    n = call.x.shape[call.axis]
    if n == 0:
        name = "weight" if isinstance(call.x, Logits) else call.first
        call.fail(ShapeError, f"`{name}` must have at least one class.", name)
    if n != n and (labels != "none" or call.given.get(mask) is not None):
        rule = f"the number of classes of `{call.first}` must be known."
        call.fail(UnsupportedError, rule, call.first, hint=unknown(call.x.shape))
    call.class_weight = class_vector(call, "class_weight")
    call.class_mask = _class_mask(call, mask)
    if labels == "none":
        call.index = False
        return
    _required(call, "labels")
    given = call.array("labels")
    call.index = _is_index(call, given, labels)
    if ignore_index is not None:
        ignore_index = integer(call, "ignore_index", ignore_index)
    if call.index:
        _example_weights(call, keep_of_index(call, given, ignore_index))
        check_index_labels(call, given, n, ignore_index)
    else:
        call.labels = _dense(call, "labels")
        _example_weights(call)


def _denominator(call: Call) -> None:
    if call.given.get("denominator") is None:
        return
    array = call.array("denominator")
    if array.ndim:
        call.fail(ShapeError, "`denominator` must be a number or a 0-d array.", "denominator")
    if call.kind(array) not in ("float", "int"):
        call.fail(DTypeError, "`denominator` must be a real number.", "denominator")
    check_weight(call, "denominator", array)
    call.denominator = array


def _required(call: Call, name: str) -> None:
    if call.given[name] is None:
        call.fail(DTypeError, f"`{name}` must be given.", call.first, name)


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
    if array.ndim > 1 or (array.ndim == 1 and not same(array.shape[0], n)):
        rule = f"`{name}` must be 0-d or have one entry a class, ({n},)."
        call.fail(ShapeError, rule, *call.rows[1], name)
    check_weight(call, name, array)
    return agreeing(call, _weight(call, array), [axis], exact=True)


def _weight(call: Call, array: Any) -> Any:
    """A real weight in a floating dtype, which is as wide as the losses where they share it.

    A mean has the weight above and below: what flows back from both is added up before rounding.
    """
    if call.kind(array) != "float":
        return call.cast(array)
    dtype, is_shared = call.backend.dtype_name(array), call.reduction in ("mean", "partial")
    if dtype.startswith("float8") or (is_shared and dtype in ("float16", "bfloat16")):
        return steps.cast(array, getattr(call.backend.xp, call.dtype))
    return array


def _predictions(call: Call, labels: str | None) -> None:
    name = call.first
    call.x = call.given[name]
    if is_weak(call.x) and not isinstance(call.x, np.ndarray):
        host = call._weak_values(name)
        if host.dtype.kind not in "biuf":
            call.fail(DTypeError, f"`{name}` must be real floating.", name)
        strong = [v for v in call.given.values() if v is not None and not is_weak(v)]
        host = host.astype(call.backend.default_float())
        call.x = call.backend.asarray(host, strong[0] if strong else None)
        call.given = {**call.given, name: call.x}
    dtype = call.backend.dtype_name(call.x)
    if not dtype.startswith(_PREDICTIONS):
        _refuse_predictions(call, labels)
    call.dtype = "float64" if dtype == "float64" else "float32"
    _denominator(call)


def _refuse_predictions(call: Call, labels: str | None) -> NoReturn:
    name, hint = call.first, "cast it to a floating dtype."
    kind = call.kind(call.x)
    if kind == "float":
        hint = "cast it to float64."
    other = call.given.get(labels) if labels else None
    if other is not None and kind == "int":
        array = np.asarray(other) if is_weak(other) else other
        other_dtype = array.dtype.name if is_weak(other) else call.backend.dtype_name(array)
        if str(other_dtype).startswith(_PREDICTIONS):
            hint = f"are `{name}` and `{labels}` swapped? The prediction comes first."
    shown = [name, labels] if other is not None and labels else [name]
    call.fail(DTypeError, f"`{name}` must be real floating.", *shown, hint=hint)


def _axis(call: Call, axis: Any) -> int:
    """The axis counted from the end."""
    ndim = call.x.ndim
    if ndim == 0:
        call.fail(ShapeError, f"`{call.first}` must have a class axis.", call.first)
    is_int = not isinstance(axis, bool) and isinstance(axis, numbers.Integral)
    if not is_int or not -ndim <= int(axis) < ndim:
        rule = f"`axis` must be an int in [{-ndim}, {ndim})."
        raise OptionError(message(call.name, rule, {"axis": axis, call.first: call.x}))
    position: int = int(axis) % ndim - ndim
    return position


def _broadcasts(shape: Any, full: Any) -> bool:
    return len(shape) == len(full) and all(
        n == 1 or same(n, want) for n, want in zip(shape, full, strict=True)
    )


def _rank_hint(name: str, shape: tuple[int, ...], full: tuple[int, ...]) -> str:
    """How to give an array the rank of what it applies to."""
    missing = len(full) - len(shape)
    if missing == -1 and shape == (*full, 1):
        return f"drop its last axis: {name}[..., 0]."
    if missing < 1 or not shape:
        return "" if missing else unknown(shape + full)
    kept, new = [":"] * len(shape), ["None"] * missing
    for fits, key in ((full, kept + new), (full[missing:], new + kept)):
        if all(map(same, shape, fits)):
            return f"give it the missing axes: {name}[{', '.join(key)}]."
    return ""


def _dense(call: Call, name: str) -> Any:
    """Labels or targets of the rank of the predictions, in a floating dtype."""
    array = call.array(name)
    kind = call.kind(array)
    if kind == "other":
        call.fail(DTypeError, f"`{name}` must be floating, integer or bool.", call.first, name)
    if array.ndim and not _broadcasts(array.shape, call.x.shape):
        like, shown = call.rows
        rule = f"`{name}` must be 0-d or have the rank of {like}, with every dimension equal or 1."
        hint = _rank_hint(name, tuple(array.shape), tuple(call.x.shape))
        if call.axis is not None and kind == "int" and array.ndim == call.x.ndim - 1:
            hint = "for the index of a class call cross_entropy or the loss with `sparse`."
        call.fail(ShapeError, rule, *shown, name, hint=hint)
    return array if kind == "float" else call.cast(array)


def _is_index(call: Call, labels: Any, accepted: str) -> bool:
    if accepted != "either":
        return accepted == "index"
    if labels.ndim == call.x.ndim:
        return False
    if labels.ndim == call.x.ndim - 1:
        return True
    rule = (
        f"`labels` must be indices with the shape of `{call.first}` without axis {call.axis}, "
        "or a distribution of its rank."
    )
    call.fail(ShapeError, rule, call.first, "labels")


def _class_mask(call: Call, name: str) -> Any:
    if call.given.get(name) is None:
        return None
    mask = call.array(name)
    axis = call.axis
    assert axis is not None
    _require_bool(call, name, mask)
    n = call.x.shape[axis]
    if mask.ndim == 1 and same(mask.shape[0], n):
        mask = agreeing(call, mask, [axis], exact=True)
        return call.backend.xp.reshape(mask, along(axis, call.x.ndim))
    if mask.ndim and not _broadcasts(mask.shape, call.x.shape):
        like, shown = call.rows
        rule = (
            f"`{name}` must have one entry a class, ({n},), or the rank of {like} "
            "with every dimension equal or 1."
        )
        call.fail(ShapeError, rule, *shown, name)
    return mask


def _require_bool(call: Call, name: str, mask: Any) -> None:
    if call.kind(mask) != "bool":
        listed = isinstance(call.given[name], (list, tuple))
        hints = {"int": f"pass {f'numpy.asarray({name})' if listed else name} != 0."}
        if "sample_weight" in call.given and name == "where":
            hints["float"] = "pass weights as `sample_weight`."
        hint = hints.get(call.kind(mask), "")
        call.fail(DTypeError, f"`{name}` must be bool; True keeps.", name, hint=hint)


def _example_weights(call: Call, ignored: Any = None) -> None:
    """Check `sample_weight` and `where`; ``keep`` is where both the mask and ``ignored`` keep."""
    shape = tuple(call.x.shape)
    if call.axis is not None:
        shape = without(shape, call.axis)
    for name in ("sample_weight", "where"):
        if call.given.get(name) is None:
            continue
        array = call.array(name)
        if array.ndim and not _broadcasts(array.shape, shape):
            rule = (
                f"`{name}` must be 0-d or have the rank of the losses, {shape}, "
                "with every dimension equal or 1."
            )
            hint = _rank_hint(name, tuple(array.shape), shape)
            call.fail(ShapeError, rule, call.first, name, hint=hint)
        if name == "where":
            _require_bool(call, name, array)
            call.keep = array
        elif call.kind(array) == "other":
            call.fail(DTypeError, "`sample_weight` must be real.", name)
        else:
            call.sample_weight = _weight(call, array)
    if ignored is not None:
        call.keep = ignored if call.keep is None else call.keep & ignored
