"""The losses of keras.losses that compare values."""

from __future__ import annotations

from typing import Any

import xentropy
from xentropy._call import Call
from xentropy.formulas import clipped_divergence, relative
from xentropy.formulas import poisson as counts
from xentropy.formulas.clipped import EPSILON
from xentropy.formulas.formula import Formula
from xentropy.formulas.log_error import squared_log_error
from xentropy.validation import elementwise, rows

from ._inputs import as_keras, broadcast, finish, row_mean, same_rank, taken

__all__ = [
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
]


def _fitted(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any, Any]:
    """Targets and predictions in one shape, and the dtype that the predictions came in."""
    x, t = taken(name, y_true, y_pred)
    dtype = x.dtype
    t, x = same_rank(t, x)
    t, x = broadcast(name, t, x)
    return t, x, dtype


def _by_formula(name: str, formula: Formula, t: Any, x: Any, **options: Any) -> Any:
    call = Call(name, predictions=x, targets=t)
    elementwise(call, "targets", "values")
    return call.apply(formula, **options)


@as_keras
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.mean_squared_error`` of 3.15: the mean over the last axis.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    """
    t, x, dtype = _fitted("mean_squared_error", y_true, y_pred)
    return finish(row_mean(xentropy.squared_error(x, t)), dtype)


@as_keras
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.mean_absolute_error`` of 3.15: the mean over the last axis.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    """
    t, x, dtype = _fitted("mean_absolute_error", y_true, y_pred)
    return finish(row_mean(xentropy.absolute_error(x, t)), dtype)


@as_keras
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.mean_absolute_percentage_error`` of 3.15: the mean over the last axis.

    Targets nearer to 0 than 1e-7 divide as 1e-7.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    """
    name = "mean_absolute_percentage_error"
    t, x, dtype = _fitted(name, y_true, y_pred)
    return finish(row_mean(_by_formula(name, relative.percentage_error, t, x)), dtype)


@as_keras
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.mean_squared_logarithmic_error`` of 3.15: the mean over the last axis.

    The result is float32 of 16 bits too, as in Keras.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    """
    name = "mean_squared_logarithmic_error"
    t, x, _ = _fitted(name, y_true, y_pred)
    return row_mean(_by_formula(name, squared_log_error, t, x, floor=EPSILON))


@as_keras
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """``keras.losses.huber`` of 3.15: the mean over the last axis; ``delta`` is above 0.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    * ``delta``: where squares turn into absolute errors, above 0.
    """
    t, x, dtype = _fitted("huber", y_true, y_pred)
    return finish(row_mean(xentropy.huber(x, t, delta=delta)), dtype)


@as_keras
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.log_cosh`` of 3.15, with all digits near 0: the mean over the last axis.

    * ``y_true``: what was observed, broadcast with ``y_pred``; an axis of 1 at the end may be
      missing.
    * ``y_pred``: the predictions.
    """
    t, x, dtype = _fitted("log_cosh", y_true, y_pred)
    return finish(row_mean(xentropy.log_cosh(x, t)), dtype)


@as_keras
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.kl_divergence`` of 3.15: the sum over the last axis.

    Labels and predictions are probabilities, clipped to [1e-7, 1].

    * ``y_true``: probabilities, broadcast with ``y_pred``.
    * ``y_pred``: probabilities.
    """
    x, t = taken("kl_divergence", y_true, y_pred)
    dtype = x.dtype
    t, x = broadcast("kl_divergence", t, x)
    call = Call("kl_divergence", probs=x, labels=t)
    rows(call, "dense", axis=-1, kind="probs")
    return finish(call.apply(clipped_divergence.divergence), dtype)


@as_keras
def poisson(y_true: Any, y_pred: Any) -> Any:
    """``keras.losses.poisson`` of 3.15: the mean over the last axis of rates, not logarithms.

    * ``y_true``: counts, broadcast with ``y_pred``.
    * ``y_pred``: rates.
    """
    x, t = taken("poisson", y_true, y_pred)
    dtype = x.dtype
    t, x = broadcast("poisson", t, x)
    options = {"log_input": False, "eps": EPSILON, "full": ""}
    return finish(row_mean(_by_formula("poisson", counts.poisson, t, x, **options)), dtype)
