"""Cross-entropies of logits."""

from __future__ import annotations

from typing import Any

import numpy as np

import xentropy
from xentropy import _steps as steps
from xentropy.errors import ShapeError
from xentropy.formulas.by_parameter import focal_by_gamma, poly_by_epsilon

from .arguments import Given, array_or_none, optax_spoken, ranked, spread
from .rows import dense, index

__all__ = [
    "poly_loss_cross_entropy",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
]


@optax_spoken()
def sigmoid_binary_cross_entropy(logits: Any, labels: Any) -> Any:
    """``optax.losses.sigmoid_binary_cross_entropy`` of 0.2.8.

    Infinite logits give 0 or +inf where the original gives NaN for some.

    * ``logits``: real numbers.
    * ``labels``: probabilities, broadcast with ``logits``.
    """
    given = Given("sigmoid_binary_cross_entropy", logits=logits, labels=labels)
    full = given.full(logits=given["logits"], labels=given["labels"])
    x, t = spread(given["logits"], full), ranked(given["labels"], full.ndim)
    return steps.cast(xentropy.sigmoid_cross_entropy(x, t), given.dtype("logits"))


@optax_spoken()
def sigmoid_focal_loss(logits: Any, labels: Any, *, alpha: Any = None, gamma: Any = 2.0) -> Any:
    """``optax.losses.sigmoid_focal_loss`` of 0.2.8.

    ``alpha`` and ``gamma``, which is at least 0, are numbers or arrays that broadcast.

    * ``logits``: real numbers.
    * ``labels``: probabilities, broadcast with ``logits``.
    * ``alpha``: the weight of the positive class, the other has ``1 - alpha``; None is none.
    * ``gamma``: the power of ``1 - p``.
    """
    given = Given(
        "sigmoid_focal_loss",
        logits=logits,
        labels=labels,
        alpha=alpha,
        gamma=array_or_none(gamma),
    )
    arrays = {name: given[name] for name in ("logits", "labels", "alpha", "gamma")}
    full = given.full(**arrays)
    x, t = spread(given["logits"], full), ranked(given["labels"], full.ndim)
    dtype = given.dtype("logits", "alpha", "gamma")
    a, g = given["alpha"], given["gamma"]
    if g is None and (a is None or a.ndim < 2):
        losses = xentropy.sigmoid_focal_cross_entropy(
            given.widened(x, dtype), t, alpha=a, gamma=gamma
        )
        return steps.cast(losses, dtype)
    if g is None:
        g = given.call.adopt(np.asarray(gamma, given.name_of(dtype)))
    given.check_sign("gamma", g)
    a, g = (p if p is None else ranked(p, full.ndim) for p in (a, g))
    options = {"dtype": given.name_of(dtype)}
    return steps.cast(given.call.backend.apply(focal_by_gamma, (x, t, a, g), options), dtype)


@optax_spoken(class_mask="where")
def softmax_cross_entropy(logits: Any, labels: Any, axis: Any = -1, where: Any = None) -> Any:
    """``optax.losses.softmax_cross_entropy`` of 0.2.8.

    A logit of -inf whose label is 0 has the term 0, in the original NaN.

    * ``logits``: real numbers.
    * ``labels``: probabilities, broadcast with ``logits``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps a class, or a row where it has one axis less.
    """
    given = Given("softmax_cross_entropy", logits=logits, labels=labels, where=where)
    return _softmax_cross_entropy(given, axis)


@optax_spoken()
def safe_softmax_cross_entropy(logits: Any, labels: Any) -> Any:
    """``optax.losses.safe_softmax_cross_entropy`` of 0.2.8.

    * ``logits``: real numbers.
    * ``labels``: probabilities, broadcast with ``logits``.
    """
    given = Given("safe_softmax_cross_entropy", logits=logits, labels=labels)
    return _softmax_cross_entropy(given, -1)


def _softmax_cross_entropy(given: Given, axis: Any) -> Any:
    x, t, axis, masks = dense(given, axis)
    dtype = given.dtype("logits", "labels")
    losses = xentropy.softmax_cross_entropy(given.widened(x, dtype), t, axis=axis, **masks)
    return steps.cast(losses, dtype)


@optax_spoken(class_mask="where")
def softmax_cross_entropy_with_integer_labels(
    logits: Any, labels: Any, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.softmax_cross_entropy_with_integer_labels`` of 0.2.8.

    Labels outside ``[0, C)`` raise, or give NaN where they cannot be read; the original wraps
    those of -1 to -C. The label of a class that is left out gives +inf, in the original a loss that
    may be negative.

    * ``logits``: real numbers.
    * ``labels``: integers of any width, in the shape of ``logits`` without its classes.
    * ``axis``: that of the classes, or a tuple of several, counted as one.
    * ``where``: True keeps a class, or a row where it has one axis less.
    """
    given = Given(
        "softmax_cross_entropy_with_integer_labels", logits=logits, labels=labels, where=where
    )
    x, t, axis, masks = index(given, axis)
    losses = xentropy.sparse_softmax_cross_entropy(x, t, axis=axis, **masks)
    return steps.cast(losses, given.dtype("logits"))


@optax_spoken(class_mask="where")
def poly_loss_cross_entropy(
    logits: Any, labels: Any, *, epsilon: Any = 2.0, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.poly_loss_cross_entropy`` of 0.2.8.

    ``epsilon`` is a number or an array that broadcasts to the losses. ``where`` has the rank of the
    logits.

    * ``logits``: real numbers.
    * ``labels``: probabilities, broadcast with ``logits``.
    * ``epsilon``: the factor of ``1 - p``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = Given(
        "poly_loss_cross_entropy",
        "labels",
        logits=logits,
        labels=labels,
        where=where,
        epsilon=array_or_none(epsilon),
    )
    x, t, axis, masks = dense(given, axis, expands=False)
    dtype = given.dtype("logits", "labels", "epsilon")
    if given["epsilon"] is not None:
        return steps.cast(_poly_by_epsilon(given, x, t, axis, **masks), dtype)
    losses = xentropy.poly_cross_entropy(
        given.widened(x, dtype), t, epsilon=epsilon, axis=axis, **masks
    )
    return steps.cast(losses, dtype)


def _poly_by_epsilon(
    given: Given, x: Any, t: Any, axis: int, class_mask: Any = None, where: Any = None
) -> Any:
    epsilon, losses = given["epsilon"], x[(..., 0, *(slice(None),) * (-1 - axis))]
    full = given.full(logits=losses, epsilon=epsilon)
    if tuple(full.shape) != tuple(losses.shape):
        rule = "`epsilon` must broadcast to the shape of the losses."
        given.call.fail(ShapeError, rule, "logits", "epsilon")
    keep = where if where is None else given.xp.expand_dims(where, axis=axis)
    arrays = (x, t, ranked(epsilon, full.ndim), class_mask, keep)
    options = {"dtype": given.name_of(given.dtype("logits", "labels", "epsilon")), "axis": axis}
    return given.call.backend.apply(poly_by_epsilon, arrays, options)
