"""The checks of a call: what came is normalized, or refused in terms of the call."""

from __future__ import annotations

import difflib
import math
import numbers
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, NoReturn

import numpy as np

from . import _steps as steps
from ._labels import check_index_labels, integer, keep_of_index, same, unknown
from .cotangent import expected, without
from .dispatch import Backend, LayoutError, check_devices, is_weak, message, resolve
from .errors import DTypeError, OptionError, ShapeError, UnsupportedError, XentropyError
from .formulas.formula import Formula, along
from .strict import check_head, check_values, check_weight

__all__ = [
    "Call",
    "class_vector",
    "count",
    "elementwise",
    "flag",
    "head",
    "number",
    "rows",
    "smoothing",
]

_PREDICTIONS = ("float16", "bfloat16", "float32", "float64", "float8")
_REDUCTIONS = ("none", "sum", "mean", "partial")
_FLOAT32_MAX = float(np.finfo(np.float32).max)


class Logits(NamedTuple):
    """What is known of logits that nobody holds."""

    shape: tuple[Any, ...]

    @property
    def ndim(self) -> int:
        return len(self.shape)


class Call:
    """One call of a public function: its name, its arguments as they came, and its backend.

    After `elementwise` or `rows` have checked it, the attributes hold the normalized arguments.
    """

    x: Any
    labels: Any = None
    index: bool
    axis: int | None
    dtype: str
    sample_weight: Any = None
    keep: Any = None
    denominator: Any = None
    class_weight: Any = None
    class_mask: Any = None
    hidden: Any = None
    weight: Any = None
    bias: Any = None

    def __init__(self, name: str, /, *, reduction: Any = "none", **given: Any) -> None:
        self.name = name
        self.reduction = reduction
        self.backend: Backend = resolve(name, given)
        self.given = {k: self._take(k, x) for k, x in given.items()}
        check_devices(name, self.backend, self.given)
        self.first = next(iter(given))
        _reduction(self)

    @property
    def rows(self) -> tuple[str, tuple[str, ...]]:
        """What is to have the rank of the labels, in words, and the arguments that say so."""
        if isinstance(self.x, Logits):
            return f"the logits {self.x.shape}", (self.first, "weight")
        return f"`{self.first}`", (self.first,)

    def _take(self, name: str, x: Any) -> Any:
        """An argument without what it is wrapped in; NumPy's scalars are 0-d arrays of NumPy."""
        if isinstance(x, np.generic) and self.backend.owns(x):
            return np.asarray(x)
        try:
            return x if is_weak(x) else self.backend.unwrap(x)
        except LayoutError as error:
            text = message(self.name, f"`{name}` must be {error.rule}.", {name: x}, error.hint)
            raise UnsupportedError(text) from None

    def fail(self, error: type[XentropyError], rule: str, *shown: str, hint: str = "") -> NoReturn:
        """Raise ``error``, showing the named arguments."""
        raise error(message(self.name, rule, {k: self.given[k] for k in shown}, hint)) from None

    def kind(self, x: Any) -> str:
        """``float``, ``int``, ``bool`` or ``other``."""
        name = self.backend.dtype_name(x)
        if name.startswith(("float", "bfloat")):
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
        if not is_weak(x):
            return x
        host = self._weak_values(name)
        if host is x and self.backend.owns(x):
            return x
        if not self.backend.eager():
            # A compiler reads NumPy too, but not its dtypes.
            array = self.adopt(host)
            return self.cast(array) if self.kind(array) == "float" else array
        if not host.size and not isinstance(x, np.ndarray):
            host = host.astype(np.bool_ if name in ("where", "class_mask") else np.int64)
        elif "float" in host.dtype.name:
            with np.errstate(over="ignore"):
                host = host.astype(self.dtype)
        elif host.dtype.kind == "V":
            host = host.astype(np.int64)
        # Frameworks read neither foreign byte orders nor negative strides.
        return self.adopt(np.asarray(host, dtype=np.dtype(host.dtype.name), order="C"))

    def adopt(self, host: np.ndarray[Any, Any]) -> Any:
        """A NumPy array as an array of the call's family, where the predictions lie."""
        first = self.given[self.first]
        return self.backend.asarray(host, None if is_weak(first) else first)

    def _weak_values(self, name: str) -> np.ndarray[Any, Any]:
        """A number, a nested list or a NumPy array as an array of numbers."""
        x = self.given[name]
        try:
            host = np.asarray(x)
        except ValueError:
            self.fail(ShapeError, f"`{name}` must be a regular array, not a ragged list.", name)
        except (RuntimeError, TypeError):
            hint = "stack its arrays into one."
            self.fail(DTypeError, f"`{name}` must be a list of numbers.", name, hint=hint)
        if self.backend.eager() and not _is_numeric(host.dtype):
            if isinstance(x, np.ndarray) or not all(isinstance(k, numbers.Real) for k in host.flat):
                self.fail(DTypeError, f"`{name}` must hold real numbers.", name)
            # Python integers beyond every integer dtype.
            host = np.asarray([_float(k) for k in host.flat]).reshape(host.shape)
        return host

    def host(self, name: str, array: Any, *, sync: bool = False) -> np.ndarray[Any, Any] | None:
        """The values of an argument, where they can be read."""
        given = self.given[name]
        if is_weak(given):
            return self._weak_values(name) if self.backend.eager() else None
        return self.backend.concrete(array, sync=sync)

    def apply(self, formula: Formula, *extra: Any, **options: Any) -> Any:
        """Evaluate a formula on the checked arguments; ``extra`` follow the labels."""
        keep, labels = self.keep, self.labels
        if self.axis is not None:
            options["axis"] = self.axis
            keep = self.expand(keep)
        options["dtype"] = self.dtype
        arrays = (self.x, labels, *extra, self.sample_weight, keep)
        return self.backend.apply(formula, arrays, options, expected(self))

    def expand(self, x: Any) -> Any:
        """A per-example array with the class axis as length 1."""
        if x is None or self.axis is None or (x.ndim == 0 and self.x.ndim > 1):
            return x
        return self.backend.xp.expand_dims(x, axis=self.axis)


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    # V: bfloat16, int4 and their like, which NumPy does not know; and records.
    return dtype.kind in "biufc" or (dtype.kind == "V" and not dtype.name.startswith("void"))


def _is_finite(x: float) -> bool:
    return -math.inf < x < math.inf  # a compiler of dynamic numbers does not read math.isfinite


def number(
    call: Call,
    name: str,
    value: Any,
    rule: str = "a finite number",
    accept: Callable[[float], bool] = _is_finite,
) -> float:
    """A numeric option, rounded to the compute dtype."""
    hint = ""
    if not isinstance(value, bool) and isinstance(value, numbers.Real):
        exact = _float(value)
        rounded = exact
        if call.dtype == "float32":
            rounded = math.inf if abs(exact) > _FLOAT32_MAX else float(np.float32(exact))
        if accept(exact) and accept(rounded):
            return rounded
        hint = f"in {call.dtype} it is {rounded}." if accept(exact) else ""
    raise OptionError(message(call.name, f"`{name}` must be {rule}.", {name: value}, hint))


def count(call: Call, name: str, value: Any) -> int:
    """An option that counts something, one at least."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or int(value) < 1:
        rule = f"`{name}` must be a positive int."
        raise OptionError(message(call.name, rule, {name: value}))
    return int(value)


def flag(call: Call, name: str, value: Any) -> bool:
    """An option that is on or off."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise OptionError(message(call.name, f"`{name}` must be True or False.", {name: value}))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def smoothing(call: Call, value: Any) -> float | None:
    """`label_smoothing`, None where it changes nothing."""
    s = number(call, "label_smoothing", value, "in [0, 1]", lambda s: 0.0 <= s <= 1.0)
    return s or None


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
    if call.given["bias"] is not None:
        call.bias = _of_layer(call, "bias")
        if call.bias.ndim != 1 or not same(call.bias.shape[0], weight.shape[0]):
            rule = f"`bias` must have one entry a class, ({weight.shape[0]},)."
            call.fail(ShapeError, rule, "weight", "bias")
    call.x = Logits((*hidden.shape[:-1], weight.shape[0]))
    call.axis = -1
    _classes(call, labels, ignore_index, "class_mask")
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


def _reduction(call: Call) -> None:
    mode, denominator = call.reduction, call.given.get("denominator")
    if not isinstance(mode, str) or mode not in _REDUCTIONS:
        rule = f"`reduction` must be one of {', '.join(map(repr, _REDUCTIONS))}."
        near = difflib.get_close_matches(str(mode).lower(), _REDUCTIONS, 1)
        hint = f"did you mean {near[0]!r}?" if near else ""
        raise OptionError(message(call.name, rule, {"reduction": mode}, hint))
    if denominator is not None and mode != "mean":
        rule = "`denominator` goes with reduction='mean'."
        shown = {"reduction": mode, "denominator": denominator}
        raise OptionError(message(call.name, rule, shown))


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
    return _weight(call, array)


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
