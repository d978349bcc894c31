"""Divergences of rows from what is given as logarithms, which need not be normalized."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from xentropy._types import Namespace

from .formula import Formula
from .numeric import times
from .relative_entropy import term, term_partials

__all__ = ["generalized", "of_log_targets", "of_targets"]

_TERMS = tuple((-1.0) ** k / math.factorial(k) for k in range(20, 1, -1))


def _of(log_target: bool) -> tuple[Callable[..., Any], Callable[..., tuple[Any, Any]]]:
    """The terms of `relative_entropy`, and their slopes by both arguments."""

    def terms(xp: Namespace, x: Any, t: Any) -> Any:
        return term(xp, x, t, log_target=log_target)

    def slopes(xp: Namespace, x: Any, t: Any) -> tuple[Any, Any]:
        found = term_partials(xp, ("x", "t"), x, t, log_target=log_target)
        return found["x"], found["t"]

    return terms, slopes


def _distance(xp: Namespace, x: Any, t: Any) -> tuple[Any, Any, Any]:
    """``d = log t - x``, whether it is small, and there ``(exp(-d) - 1 + d) / d^2``."""
    d = xp.log(t) - x
    near = xp.abs(d) < 1.0
    small = xp.where(near, d, 0.0)
    series = small * _TERMS[0] + _TERMS[1]
    for coefficient in _TERMS[2:]:
        series = series * small + coefficient
    return d, near, series


def _generalized(xp: Namespace, x: Any, t: Any) -> Any:
    """``t (log t - x) + exp(x) - t``, without cancellation where ``t`` is near ``exp(x)``."""
    d, near, series = _distance(xp, x, t)
    small = xp.where(near, d, 0.0)
    return xp.where(near, t * (small * small * series), times(xp, t, d - 1.0) + xp.exp(x))


def _generalized_partials(xp: Namespace, x: Any, t: Any) -> tuple[Any, Any]:
    d, near, series = _distance(xp, x, t)
    small = xp.where(near, d, 0.0)
    by_x = xp.where(near, t * (small * (small * series - 1.0)), xp.exp(x) - t)
    return by_x, xp.where(t == 0, 0.0, d)


def _of_rows(
    name: str, terms: Callable[..., Any], slopes: Callable[..., tuple[Any, Any]]
) -> Formula:
    """The sum of the terms that a mask keeps along the axis."""

    def kept(xp: Namespace, x: Any, t: Any, mask: Any) -> tuple[Any, Any]:
        """What is left out becomes the log-probability 0 of a target of 1."""
        return (x, t) if mask is None else (xp.where(mask, x, 0.0), xp.where(mask, t, 1.0))

    def value(
        xp: Namespace, *, predictions: Any, targets: Any, mask: Any, axis: int, dtype: str
    ) -> Any:
        each = terms(xp, *kept(xp, predictions, targets, mask))
        each = each if mask is None else xp.where(mask, each, 0.0)
        return xp.sum(each, axis=axis, keepdims=True)

    def partials(
        xp: Namespace,
        wrt: tuple[str, ...],
        *,
        predictions: Any,
        targets: Any,
        mask: Any,
        axis: int,
        dtype: str,
    ) -> dict[str, Any]:
        both = slopes(xp, *kept(xp, predictions, targets, mask))
        found: dict[str, Any] = {"predictions": both[0], "targets": both[1]}
        return {k: found[k] if mask is None else xp.where(mask, found[k], 0.0) for k in wrt}

    roles: Any = {"predictions": "elements", "targets": "elements", "mask": "constant"}
    return Formula(name, roles, "axis", value, partials)


of_targets = _of_rows("relative_entropy_rows", *_of(log_target=False))
of_log_targets = _of_rows("relative_entropy_rows_log", *_of(log_target=True))
generalized = _of_rows("generalized_relative_entropy", _generalized, _generalized_partials)
