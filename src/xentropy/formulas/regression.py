"""Losses of the error ``e = prediction - target``, elementwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xentropy._types import Namespace

from .formula import Formula
from .numeric import log_cosh as log_cosh_of
from .numeric import used
from .weighting import weighted

__all__ = ["absolute_error", "huber", "log_cosh", "pinball", "smooth_l1", "squared_error"]


def _of_error(
    name: str, value: Callable[..., Any], slope: Callable[..., Any], *parameters: str
) -> Formula:
    """The formula ``value(e)`` with derivative ``slope(e)``; the parameters are numbers."""

    def loss(xp: Namespace, x: Any, t: Any, **options: Any) -> Any:
        return value(xp, x - t, *(options[k] for k in parameters))

    def partials(
        xp: Namespace, wrt: tuple[str, ...], x: Any, t: Any, **options: Any
    ) -> dict[str, Any]:
        derivative = slope(xp, x - t, *(options[k] for k in parameters))
        return {k: derivative if k == "x" else -derivative for k in wrt}

    return weighted(
        name, loss, partials, prediction="predictions", labels="targets", reduces="none"
    )


def _huber(xp: Namespace, e: Any, delta: Any) -> Any:
    a = xp.abs(e)
    near = a <= delta
    e = used(xp, lambda: near, e, 0.0)
    return xp.where(near, 0.5 * (e * e), delta * (a - 0.5 * delta))


def _huber_slope(xp: Namespace, e: Any, delta: Any) -> Any:
    return xp.where(xp.abs(e) <= delta, e, delta * xp.sign(e))


def _smooth_l1(xp: Namespace, e: Any, beta: Any) -> Any:
    a = xp.abs(e)
    near = a < beta
    e = used(xp, lambda: near, e, 0.0)
    return xp.where(near, 0.5 * (e * e) / beta, a - 0.5 * beta)


def _smooth_l1_slope(xp: Namespace, e: Any, beta: Any) -> Any:
    return xp.where(xp.abs(e) < beta, e / beta, xp.sign(e))


def _pinball(xp: Namespace, e: Any, alpha: Any) -> Any:
    return xp.where(e > 0, (1.0 - alpha) * e, -alpha * e)


def _pinball_slope(xp: Namespace, e: Any, alpha: Any) -> Any:
    # Half the absolute error at alpha = 1/2, and 0 at 0 as there.
    side = xp.sign(e)
    return xp.abs(side) * xp.where(side > 0, 1.0 - alpha, -alpha * xp.ones_like(side))


squared_error = _of_error("squared_error", lambda xp, e: e * e, lambda xp, e: 2.0 * e)
absolute_error = _of_error("absolute_error", lambda xp, e: xp.abs(e), lambda xp, e: xp.sign(e))
log_cosh = _of_error("log_cosh", log_cosh_of, lambda xp, e: xp.tanh(e))
huber = _of_error("huber", _huber, _huber_slope, "delta")
smooth_l1 = _of_error("smooth_l1", _smooth_l1, _smooth_l1_slope, "beta")
pinball = _of_error("pinball", _pinball, _pinball_slope, "alpha")
"""Of the quantile ``alpha``."""
