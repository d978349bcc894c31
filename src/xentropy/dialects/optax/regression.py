"""Losses of the difference between predictions and targets, and cosines of their angle."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import xentropy
from xentropy.dialects import _steps as steps
from xentropy.dialects._speech import spoken
from xentropy.dispatch import message
from xentropy.errors import OptionError, ShapeError
from xentropy.formulas import cosine
from xentropy.formulas.formula import Formula

from .arguments import Given, optax_spoken, ranked, spread
from .rows import pair

__all__ = [
    "cosine_distance",
    "cosine_similarity",
    "huber_loss",
    "l2_loss",
    "log_cosh",
    "squared_error",
]


@spoken({})
def squared_error(predictions: Any, targets: Any = None) -> Any:
    """``optax.losses.squared_error`` of 0.2.8."""
    given = _equal("squared_error", predictions, targets)
    return _regression(given, xentropy.squared_error)


@spoken({})
def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """``optax.losses.l2_loss`` of 0.2.8: half the squared error."""
    given = _equal("l2_loss", predictions, targets)
    return _regression(given, functools.partial(xentropy.squared_error, sample_weight=0.5))


@optax_spoken()
def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Any:
    """``optax.losses.huber_loss`` of 0.2.8.

    ``delta`` is a number above 0; the original takes any, and gives negative losses below.
    """
    given = Given("huber_loss", predictions=predictions, targets=targets)
    loss = functools.partial(xentropy.huber, delta=given.number("delta", delta))
    return _regression(given, loss)


@optax_spoken()
def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """``optax.losses.log_cosh`` of 0.2.8."""
    given = Given("log_cosh", predictions=predictions, targets=targets)
    return _regression(given, xentropy.log_cosh)


def _equal(function: str, predictions: Any, targets: Any) -> Given:
    given = Given(function, predictions=predictions, targets=targets)
    x, t = given["predictions"], given["targets"]
    if t is not None and tuple(x.shape) != tuple(t.shape):
        rule = "`targets` must have the shape of `predictions`."
        given.call.fail(ShapeError, rule, "predictions", "targets")
    return given


def _regression(given: Given, loss: Callable[..., Any]) -> Any:
    x, t = given["predictions"], given["targets"]
    dtype = given.dtype("predictions", "targets")
    if t is None:
        return steps.cast(loss(x, 0.0), dtype)
    full = given.full(predictions=x, targets=t)
    x, t = spread(x, full), ranked(t, full.ndim)
    return steps.cast(loss(given.widened(x, dtype), t), dtype)


@optax_spoken()
def cosine_similarity(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.cosine_similarity`` of 0.2.8.

    ``epsilon`` is a number that bounds the squares of the norms from below, whatever the original
    says of the norms themselves. Squares neither overflow nor underflow.
    """
    given = _vectors("cosine_similarity", predictions, targets, where)
    return _cosine(given, cosine.similarity, epsilon, axis)


@optax_spoken()
def cosine_distance(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.cosine_distance`` of 0.2.8.

    The notes of `cosine_similarity` hold. The distance of nearly parallel vectors keeps its digits.
    """
    given = _vectors("cosine_distance", predictions, targets, where)
    return _cosine(given, cosine.distance, epsilon, axis)


def _vectors(function: str, predictions: Any, targets: Any, where: Any) -> Given:
    return Given(function, "targets", predictions=predictions, targets=targets, where=where)


def _cosine(given: Given, formula: Formula, epsilon: Any, axis: Any) -> Any:
    epsilon = given.number("epsilon", epsilon)
    if not isinstance(epsilon, (int, float)) or not math.isfinite(epsilon):
        rule = "`epsilon` must be a finite number."
        raise OptionError(message(given.call.name, rule, {"epsilon": epsilon}))
    x, t, mask, axis = pair(given, axis, "predictions", "targets", vectors=True)
    dtype = given.dtype("predictions", "targets")
    options = {"axis": axis, "dtype": given.name_of(dtype), "least": math.sqrt(max(epsilon, 0.0))}
    return steps.cast(given.call.backend.apply(formula, (x, t, mask), options), dtype)
