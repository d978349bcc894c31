"""Calls of the kernel for log-probabilities: one for each class of a row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from xentropy.formulas import softmax

from .by_row import prepare
from .engine import Engine
from .memory import memory_for, result_of
from .request import Request

__all__ = ["FORMULAS", "gradient", "losses"]

Array = npt.NDArray[Any]

FORMULAS = {softmax.log_softmax: "log_softmax"}


def losses(
    engine: Engine,
    request: Request,
    saving: bool,
    upstream: float | None,
    empty: Callable[..., Array],
) -> tuple[Array, Request | None]:
    """Evaluate the formula, and say what `gradient` needs."""
    call, options = prepare(engine, FORMULAS[request.formula], request), request.options
    out = empty((call.x.length * call.x.n,), options["dtype"])
    engine.log_softmax(call, out)
    found = np.moveaxis(out.reshape(call.x.shape), -1, options["axis"])
    return found, request if saving else None


def gradient(
    engine: Engine, state: Request, cotangent: Array, empty: Callable[..., Array]
) -> Array:
    """The gradient with respect to the logits, in their dtype and shape."""
    call = prepare(engine, FORMULAS[state.formula], state, labels=cotangent)
    flat = memory_for(call.x, empty)
    engine.log_softmax_gradient(call, flat)
    return result_of(call.x, flat)
