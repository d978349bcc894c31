"""Calls of the kernel for log-probabilities: one for each class of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from xentropy._types import Arrays, Options
from xentropy.formulas import softmax
from xentropy.formulas.formula import Formula

from .by_row import prepare
from .engine import Engine
from .memory import memory_for, result_of

__all__ = ["FORMULAS", "State", "gradient", "losses"]

Array = npt.NDArray[Any]

FORMULAS = {softmax.log_softmax: "log_softmax"}


class State(NamedTuple):
    """What a gradient needs of the call of its values."""

    given: dict[str, Array | None]
    options: Options


def losses(
    engine: Engine,
    formula: Formula,
    arrays: Arrays,
    options: Options,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, State | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    given = dict(zip(formula.roles, arrays, strict=True))
    call, axis = prepare(engine, FORMULAS[formula], given, options), options["axis"]
    out = empty((call.x.length * call.x.n,), options["dtype"])
    engine.log_softmax(call, out)
    found = np.moveaxis(out.reshape(call.x.shape), -1, axis)
    return found, State(given, options) if saving else None


def gradient(engine: Engine, state: State, cotangent: Array, empty: Callable[..., Array]) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    given = {**state.given, "labels": cotangent}
    call = prepare(engine, "log_softmax", given, state.options)
    flat = memory_for(call.x, empty)
    engine.log_softmax_gradient(call, flat)
    return result_of(call.x, flat)
