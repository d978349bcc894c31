"""Losses of the difference between predictions and targets, and cosines of their angle."""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy.dialects._speech import spoken
from xentropy.dispatch import message
from xentropy.errors import OptionError, ShapeError
from xentropy.formulas import cosine
from xentropy.formulas.by_parameter import huber_by_delta
from xentropy.formulas.formula import Formula

from .arguments import Given, array_or_none, classes, merged, optax_spoken, ranked, spread
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
    """``optax.losses.squared_error`` of 0.2.8.

    * ``predictions``: the predictions.
    * ``targets``: what was observed, in the shape of ``predictions``; None is 0.
    """
    given = _equal("squared_error", predictions, targets)
    return _regression(given, xentropy.squared_error)


@spoken({})
def l2_loss(predictions: Any, targets: Any = None) -> Any:
    """``optax.losses.l2_loss`` of 0.2.8: half the squared error.

    * ``predictions``: the predictions.
    * ``targets``: what was observed, in the shape of ``predictions``; None is 0.
    """
    given = _equal("l2_loss", predictions, targets)
    return _regression(given, functools.partial(xentropy.squared_error, sample_weight=0.5))


@optax_spoken()
def huber_loss(predictions: Any, targets: Any = None, *, delta: Any = 1.0) -> Any:
    """``optax.losses.huber_loss`` of 0.2.8.

    ``delta`` is a number above 0, or an array of such that broadcasts; the original takes any, and
    gives negative losses below.

    * ``predictions``: the predictions.
    * ``targets``: what was observed, broadcast with ``predictions``; None is 0.
    * ``delta``: where squares turn into absolute errors.
    """
    given = Given(
        "huber_loss", predictions=predictions, targets=targets, delta=array_or_none(delta)
    )
    if given["delta"] is None:
        return _regression(given, functools.partial(xentropy.huber, delta=delta))
    given.check_sign("delta", given["delta"], strictly=True)
    x, d = given["predictions"], given["delta"]
    t = given.xp.zeros_like(x) if targets is None else given["targets"]
    full = given.full(predictions=x, targets=t, delta=d)
    dtype = given.dtype("predictions", "targets", "delta")
    arrays = (spread(x, full), ranked(t, full.ndim), ranked(d, full.ndim))
    options = {"dtype": given.name_of(dtype)}
    return steps.cast(given.call.backend.apply(huber_by_delta, arrays, options), dtype)


@optax_spoken()
def log_cosh(predictions: Any, targets: Any = None) -> Any:
    """``optax.losses.log_cosh`` of 0.2.8.

    * ``predictions``: the predictions.
    * ``targets``: what was observed, broadcast with ``predictions``; None is 0.
    """
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

    ``epsilon`` bounds the squares of the norms from below, whatever the original says of the norms
    themselves: a number, or an array of the rank of the vectors with length 1 along ``axis``.
    Squares neither overflow nor underflow.

    * ``predictions``: the predictions.
    * ``targets``: vectors, broadcast with ``predictions``.
    * ``epsilon``: the least square of a norm.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = _vectors("cosine_similarity", predictions, targets, where, epsilon)
    return _cosine(given, cosine.similarity, epsilon, axis)


@optax_spoken()
def cosine_distance(
    predictions: Any, targets: Any, *, epsilon: Any = 0.0, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.cosine_distance`` of 0.2.8.

    The notes of `cosine_similarity` hold. The distance of nearly parallel vectors keeps its digits.

    * ``predictions``: the predictions.
    * ``targets``: vectors, broadcast with ``predictions``.
    * ``epsilon``: the least square of a norm.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = _vectors("cosine_distance", predictions, targets, where, epsilon)
    return _cosine(given, cosine.distance, epsilon, axis)


def _vectors(function: str, predictions: Any, targets: Any, where: Any, epsilon: Any) -> Given:
    return Given(
        function,
        "targets",
        predictions=predictions,
        targets=targets,
        where=where,
        epsilon=array_or_none(epsilon),
    )


def _cosine(given: Given, formula: Formula, epsilon: Any, axis: Any) -> Any:
    bound = given["epsilon"]
    is_number = isinstance(epsilon, numbers.Real)
    if bound is None and not (is_number and math.isfinite(epsilon)):
        rule = "`epsilon` must be a finite number, or an array."
        raise OptionError(message(given.call.name, rule, {"epsilon": epsilon}))
    if bound is not None and bound.ndim:
        bound = _along(given, bound, axis)
    x, t, mask, axis = pair(given, axis, "predictions", "targets", vectors=True)
    dtype = given.dtype("predictions", "targets", "epsilon")
    options = {"axis": axis, "dtype": given.name_of(dtype)}
    options["least"] = math.sqrt(max(epsilon, 0.0)) if bound is None else None
    return steps.cast(given.call.backend.apply(formula, (x, t, mask, bound), options), dtype)


def _along(given: Given, bound: Any, axis: Any) -> Any:
    """One bound for each pair of vectors, laid along their axes."""
    full = given.full(predictions=given["predictions"], targets=given["targets"])
    axes, bound = classes(given, axis, full.ndim), ranked(bound, full.ndim)
    lengths = [1 if i - full.ndim in axes else n for i, n in enumerate(full.shape)]
    if bound.ndim != full.ndim or any(
        n not in (1, m) for n, m in zip(bound.shape, lengths, strict=True)
    ):
        rule = "`epsilon` must broadcast to the norms, whose length along `axis` is 1."
        given.call.fail(ShapeError, rule, "predictions", "epsilon")
    return merged(bound, axes) if len(axes) != 1 else bound
