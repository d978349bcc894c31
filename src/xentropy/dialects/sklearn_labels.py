"""Which column of the probabilities is whose, as scikit-learn reads labels."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np

from xentropy.dispatch import is_weak, message
from xentropy.errors import LabelError, OptionError, ShapeError
from xentropy.validation import Call

from . import sklearn_checks as checks

__all__ = ["is_indicator", "one_hot", "positive"]

Host = np.ndarray[Any, Any]


def one_hot(call: Call, labels: Any, columns: int) -> Any:
    """A row of 0 and 1 for each example; the columns are the classes in sorted order.

    Labels that are traced, or lie on an accelerator, are compared with ``labels``, which must then
    be given; one that is not among them gives NaN.
    """
    y = call.given["y_true"]
    classes = None if labels is None else _declared(call, labels)
    host = checks.values(y, sync=classes is None)
    if is_indicator(y):
        return _indicated(call, host, classes, columns)
    if host is not None:
        host = _column(call, host)
        if classes is None:
            classes = np.unique(host)
        unknown = host[~np.isin(host, classes)]
        if unknown.size:
            rule = f"`y_true` must hold none but `labels`; it holds {unknown[0]}."
            call.fail(LabelError, rule, "y_true")
    elif classes is None:
        _refuse_traced(call, "labels")
    assert classes is not None
    if classes.shape[0] < 2:
        rule = f"there must be two labels at least, not {classes.tolist()}."
        call.fail(LabelError, rule, "y_true", hint="`labels` lists those that may occur.")
    if classes.shape[0] != columns:
        rule = f"`y_proba` must have a column for each of the {classes.shape[0]} labels."
        hint = "`labels` lists those that may occur." if labels is None else ""
        call.fail(ShapeError, rule, "y_proba", "y_true", hint=hint)
    if host is not None:
        index = np.searchsorted(classes, host)
        return call.adopt((index[:, None] == np.arange(columns)).astype(call.dtype))
    xp = call.backend.xp
    y = xp.reshape(y, (-1, 1))
    hits = call.cast(y == xp.astype(call.adopt(classes), y.dtype))
    return xp.where(xp.sum(hits, axis=-1, keepdims=True) > 0, hits, float("nan"))


def positive(call: Call, pos_label: Any) -> Any:
    """1 for each example of the positive class, 0 for the others."""
    y = call.given["y_true"]
    host = checks.values(y, sync=pos_label is None)
    if host is None:
        if pos_label is None:
            _refuse_traced(call, "pos_label")
        return call.cast(call.backend.xp.reshape(y, (-1,)) == pos_label)
    host = _column(call, host)
    classes = np.unique(host)
    if classes.shape[0] > 2:
        rule = "`y_true` must have two labels where `y_proba` has one column."
        call.fail(LabelError, rule, "y_true", "y_proba")
    if pos_label is None:
        if classes.dtype.kind == "U":
            rule = "`pos_label` must be given where `y_true` holds strings."
            call.fail(LabelError, rule, "y_true")
        usual = set(classes.tolist()) <= {0, 1} or set(classes.tolist()) <= {-1, 1}
        pos_label = 1 if usual else classes[-1]
    elif not isinstance(pos_label, (numbers.Real, str, np.bool_)):
        rule = "`pos_label` must be a number, a string or None."
        raise OptionError(message(call.name, rule, {"pos_label": pos_label}))
    if isinstance(pos_label, str) != (host.dtype.kind == "U"):
        return call.adopt(np.zeros(host.shape, call.dtype))
    return call.adopt((host == pos_label).astype(call.dtype))


def is_indicator(y: Any) -> bool:
    """Whether labels come as rows of 0 and 1."""
    y = np.asarray(y) if is_weak(y) else y
    return bool(y.ndim == 2 and y.shape[1] != 1)


def _indicated(call: Call, host: Host | None, classes: Host | None, columns: int) -> Any:
    y = call.array("y_true")
    if classes is not None:
        rule = "`labels` goes with labels, not with an indicator matrix."
        call.fail(LabelError, rule, "y_true")
    if y.shape[1] != columns:
        rule = "`y_true` must have a column for each of `y_proba`."
        call.fail(ShapeError, rule, "y_true", "y_proba")
    if host is not None and not np.isin(host, (0, 1)).all():
        call.fail(LabelError, "an indicator matrix must hold 0 and 1 only.", "y_true")
    return call.cast(y)


def _column(call: Call, host: Host) -> Host:
    """Labels with one axis; numbers that are whole, or strings."""
    if host.dtype.kind == "O" and all(isinstance(k, str) for k in host.flat):
        host = host.astype(np.str_)
    given = call.given["y_true"]
    mixed = isinstance(given, (list, tuple)) and len({isinstance(k, str) for k in given}) > 1
    if host.dtype.kind not in "biufU" or mixed:
        call.fail(LabelError, "`y_true` must hold strings or whole numbers.", "y_true")
    if host.ndim not in (1, 2) or (host.ndim == 2 and host.shape[1] != 1):
        call.fail(ShapeError, "`y_true` must have one axis.", "y_true")
    if host.dtype.kind == "f" and not (host == np.floor(host)).all():
        call.fail(LabelError, "`y_true` must hold whole numbers.", "y_true")
    return host.reshape(-1)


def _declared(call: Call, labels: Any) -> Host:
    """The labels that may occur, sorted."""
    host = checks.values(labels, sync=True)
    shown = {"labels": labels}
    if host is None or host.ndim != 1 or host.dtype.kind not in "biufUO" or not host.size:
        rule = "`labels` must be a list of labels whose values are known."
        raise OptionError(message(call.name, rule, shown))
    if host.dtype.kind == "O":
        host = host.astype(np.str_)
    if host.dtype.kind == "f" and not (host == np.floor(host)).all():
        raise OptionError(message(call.name, "`labels` must be whole numbers.", shown))
    classes: Host = np.unique(host)
    if classes.shape != host.shape:
        raise OptionError(message(call.name, "`labels` must be distinct.", shown))
    if not (classes == host).all():
        text = f"the columns of y_proba belong to the labels in sorted order: {classes.tolist()}."
        warnings.warn(text, UserWarning, stacklevel=5)
    return classes


def _refuse_traced(call: Call, option: str) -> None:
    rule = f"`{option}` must be given where the values of `y_true` are not known."
    raise OptionError(message(call.name, rule, {"y_true": call.given["y_true"], option: None}))
