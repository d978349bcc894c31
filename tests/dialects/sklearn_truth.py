"""The losses of sklearn.metrics and their gradients by the documented formulas, in more digits."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.dialects.case import Array, Case

__all__ = ["REGRESSION", "truth"]

REGRESSION = (
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_absolute_error",
    "mean_squared_log_error",
    "mean_pinball_loss",
)


def truth(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """The same, in more digits."""
    options = dict(case.options)
    w = options.pop("sample_weight", None)
    x = wide(case.args[1])
    w = np.ones(len(x), np.longdouble) if w is None else wide(w)
    if case.function in REGRESSION:
        value, gradient = regression_truth(case.function, wide(case.args[0]), x, w, options)
    else:
        if case.function == "brier_score_loss" and x.ndim == 1:
            options.pop("labels", None)  # of no use
        t = rows(case.args[0], x, options)
        if x.ndim == 1:
            x = x[:, None]
        columns = np.concatenate((1 - x, x), 1) if x.shape[1] == 1 else x
        dtype = getattr(case.args[1], "dtype", np.dtype(np.float64))
        kind = dtype if dtype.kind == "f" else np.dtype(np.float64)
        value, by_columns = classification_truth(case.function, t, columns, w, kind, options)
        gradient = by_columns[:, 1:] - by_columns[:, :1] if x.shape[1] == 1 else by_columns
    return value, tuple(gradient.reshape(np.shape(case.args[1])) for _ in case.wrt)


def wide(x: Any) -> Array:
    return np.asarray(x).astype(np.longdouble)


def regression_truth(
    function: str, t: Array, x: Array, w: Array, options: dict[str, Any]
) -> tuple[Array, Array]:
    t, x, w = t.reshape(len(t), -1), x.reshape(len(x), -1), (w / w.sum())[:, None]
    e = x - t
    losses, slopes = e**2, 2 * e
    if function == "mean_absolute_error":
        losses, slopes = abs(e), np.sign(e)
    elif function == "mean_squared_log_error":
        d = np.log1p(x) - np.log1p(t)
        losses, slopes = d**2, 2 * d / (1 + x)
    elif function == "mean_pinball_loss":
        alpha = np.longdouble(options.get("alpha", 0.5))
        losses = alpha * np.maximum(-e, 0) + (1 - alpha) * np.maximum(e, 0)
        slopes = np.where(e > 0, 1 - alpha, np.where(e < 0, -alpha, 0))
    each, slopes = (w * losses).sum(0), w * slopes
    if function == "root_mean_squared_error":
        each = np.sqrt(each)
        slopes = slopes * np.where(each == 0, 0, 0.5 / np.where(each == 0, 1, each))
    how = options.get("multioutput", "uniform_average")
    if isinstance(how, str) and how == "raw_values":
        return each, slopes
    shares = np.ones(len(each), np.longdouble) if isinstance(how, str) else wide(how)
    shares = shares / shares.sum()
    return (each * shares).sum(), slopes * shares


def rows(y: Any, x: Array, options: dict[str, Any]) -> Array:
    """The labels as rows of 0 and 1."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return wide(y)
    given = y.reshape(-1).tolist()
    names = sorted(set(given if options.get("labels") is None else list(options["labels"])))
    if x.ndim == 1 or x.shape[1] == 1:
        if "pos_label" in options:
            return wide([[k != options["pos_label"], k == options["pos_label"]] for k in given])
        if len(names) == 1:
            one = given[0] != 0
            return wide([[not one, one]] * len(given))
    return wide([[k == name for name in names] for k in given])


def classification_truth(
    function: str, t: Array, p: Array, w: Array, kind: np.dtype[Any], options: dict[str, Any]
) -> tuple[Array, Array]:
    """The value, and the gradient by each column."""
    if function == "log_loss":
        eps = np.longdouble(np.finfo(kind).eps)
        inside = (p >= eps) & (p <= 1 - eps)
        q = np.clip(p, eps, 1 - eps)
        losses, slopes = -(t * np.log(q)).sum(1), np.where(inside, -t / q, 0)
        scale = np.longdouble(1) if options.get("normalize") is False else 1 / w.sum()
    else:
        losses, slopes, scale = ((t - p) ** 2).sum(1), 2 * (p - t), 1 / w.sum()
        halved = options.get("scale_by_half", "auto")
        if halved is True or (halved == "auto" and p.shape[1] < 3):
            scale = scale / 2
    return (w * losses).sum() * scale, w[:, None] * slopes * scale
