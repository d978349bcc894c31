"""One call of a public function: its arguments as they came, and as arrays of one family."""

from __future__ import annotations

import difflib
import math
import numbers
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .cotangent import expected
from .dispatch import Backend, LayoutError, check_devices, is_weak, message, resolve
from .errors import DTypeError, OptionError, ShapeError, UnsupportedError, XentropyError
from .formulas.formula import Formula

__all__ = ["Call", "Logits", "as_float"]

_REDUCTIONS = ("none", "sum", "mean", "partial")


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
            host = np.asarray([as_float(k) for k in host.flat]).reshape(host.shape)
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


def _reduction(call: Call) -> None:
    mode, denominator = call.reduction, call.given.get("denominator")
    if not isinstance(mode, str) or mode not in _REDUCTIONS:
        rule = f"`reduction` must be one of {', '.join(map(repr, _REDUCTIONS))}."
        hint = _nearest(str(mode))
        raise OptionError(message(call.name, rule, {"reduction": mode}, hint))
    if denominator is not None and mode != "mean":
        rule = "`denominator` goes with reduction='mean'."
        shown = {"reduction": mode, "denominator": denominator}
        raise OptionError(message(call.name, rule, shown))


def _nearest(mode: str) -> str:
    near = difflib.get_close_matches(mode.lower(), _REDUCTIONS, 1)
    return f"did you mean {near[0]!r}?" if near else ""


# torch.compile is to take the answer: it does not read difflib. See `dispatch`.
_nearest._dynamo_marked_constant = True  # type: ignore[attr-defined]


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    # V: bfloat16, int4 and their like, which NumPy does not know; and records.
    return dtype.kind in "biufc" or (dtype.kind == "V" and not dtype.name.startswith("void"))


def as_float(value: Any) -> float:
    """A number of any kind, infinite where no float is as large."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
