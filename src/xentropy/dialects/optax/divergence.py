"""Divergences between distributions of which the predicted one is given by its logarithms."""

from __future__ import annotations

from typing import Any

from xentropy import _steps as steps
from xentropy.dialects._speech import warn
from xentropy.formulas import row_divergence
from xentropy.formulas.formula import Formula

from .arguments import Given, optax_spoken
from .rows import pair

__all__ = [
    "convex_kl_divergence",
    "generalized_kl_divergence",
    "kl_divergence",
    "kl_divergence_with_log_targets",
]


@optax_spoken()
def kl_divergence(log_predictions: Any, targets: Any, axis: Any = -1, where: Any = None) -> Any:
    """``optax.losses.kl_divergence`` of 0.2.8.

    A target of 0 has the term 0 and gradient 0, also where the log-prediction is -inf; the original
    gives NaN there.

    * ``log_predictions``: log-probabilities.
    * ``targets``: probabilities, broadcast with ``log_predictions``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = Given(
        "kl_divergence", "targets", log_predictions=log_predictions, targets=targets, where=where
    )
    return _divergence(given, row_divergence.of_targets, "targets", axis)


@optax_spoken()
def kl_divergence_with_log_targets(
    log_predictions: Any, log_targets: Any, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.kl_divergence_with_log_targets`` of 0.2.8.

    A log-target of -inf has the term 0 and gradient 0, in the original NaN.

    * ``log_predictions``: log-probabilities.
    * ``log_targets``: log-probabilities, broadcast with ``log_predictions``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    given = Given(
        "kl_divergence_with_log_targets",
        "log_targets",
        log_predictions=log_predictions,
        log_targets=log_targets,
        where=where,
    )
    return _divergence(given, row_divergence.of_log_targets, "log_targets", axis)


@optax_spoken()
def generalized_kl_divergence(
    log_predictions: Any, targets: Any, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.generalized_kl_divergence`` of 0.2.8.

    The notes of `kl_divergence` hold.

    * ``log_predictions``: log-probabilities.
    * ``targets``: not negative, broadcast with ``log_predictions``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    return _generalized("generalized_kl_divergence", log_predictions, targets, axis, where)


@optax_spoken()
def convex_kl_divergence(
    log_predictions: Any, targets: Any, axis: Any = -1, where: Any = None
) -> Any:
    """``optax.losses.convex_kl_divergence`` of 0.2.8: a name that is deprecated there too.

    * ``log_predictions``: log-probabilities.
    * ``targets``: not negative, broadcast with ``log_predictions``.
    * ``axis``: that to sum along, a tuple of several, or None for all.
    * ``where``: True keeps.
    """
    text = "convex_kl_divergence is deprecated: use generalized_kl_divergence."
    warn(log_predictions, text, DeprecationWarning, stacklevel=3)
    return _generalized("convex_kl_divergence", log_predictions, targets, axis, where)


def _generalized(function: str, log_predictions: Any, targets: Any, axis: Any, where: Any) -> Any:
    given = Given(
        function, "targets", log_predictions=log_predictions, targets=targets, where=where
    )
    return _divergence(given, row_divergence.generalized, "targets", axis)


def _divergence(given: Given, formula: Formula, second: str, axis: Any) -> Any:
    x, t, mask, axis = pair(given, axis, "log_predictions", second)
    dtype = given.dtype("log_predictions", second)
    options = {"axis": axis, "dtype": given.name_of(dtype)}
    return steps.cast(given.call.backend.apply(formula, (x, t, mask), options), dtype)
