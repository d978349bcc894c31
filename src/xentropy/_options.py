"""Options that are one number, or on or off: checked, and rounded as the call computes."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ._call import Call, as_float
from .dispatch import message
from .errors import OptionError

__all__ = ["count", "flag", "number", "smoothing"]

_FLOAT32_MAX = float(np.finfo(np.float32).max)


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
        exact = as_float(value)
        rounded = exact
        if call.dtype == "float32":
            rounded = math.inf if abs(exact) > _FLOAT32_MAX else float(np.float32(exact))
        if accept(exact) and accept(rounded):
            return rounded
        hint = f"in {call.dtype} it is {rounded}." if accept(exact) else ""
    elif hasattr(value, "shape"):
        hint = "pass a Python number, as float(x); compiled code takes it as a constant."
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


def smoothing(call: Call, value: Any) -> float | None:
    """`label_smoothing`, None where it changes nothing."""
    s = number(call, "label_smoothing", value, "in [0, 1]", lambda s: 0.0 <= s <= 1.0)
    return s or None
