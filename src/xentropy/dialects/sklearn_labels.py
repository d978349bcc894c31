"""Which column of the probabilities is whose, as scikit-learn reads labels."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import numpy as np

from xentropy._call import Call
from xentropy.dispatch import is_weak, message
from xentropy.errors import LabelError, OptionError, ShapeError

from . import sklearn_checks as checks

__all__ = ["is_indicator", "one_hot", "positive"]

Host = np.ndarray[Any, Any]


class _BytesError(LabelError, TypeError):
    """Labels that are bytes, which scikit-learn refuses as a type."""


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
        classes = _listed(call, host, classes)
    elif classes is None:
        _refuse_traced(call, "labels")
    assert classes is not None
    if len(classes) < 2:
        rule = f"there must be two labels at least, not {classes}."
        call.fail(LabelError, rule, "y_true", hint="`labels` lists those that may occur.")
    if len(classes) != columns:
        rule = f"`y_proba` must have a column for each of the {len(classes)} labels."
        hint = "`labels` lists those that may occur." if labels is None else ""
        call.fail(ShapeError, rule, "y_proba", "y_true", hint=hint)
    if host is not None:
        index = np.searchsorted(np.asarray(classes), host)
        return call.adopt((index[:, None] == np.arange(columns)).astype(call.dtype))
    xp = call.backend.xp
    y = xp.reshape(y, (-1, 1))
    hits = call.cast(y == xp.astype(call.adopt(np.asarray([classes])), y.dtype))
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


def _indicated(call: Call, host: Host | None, classes: list[Any] | None, columns: int) -> Any:
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


def _listed(call: Call, host: Host, classes: list[Any] | None) -> list[Any]:
    """All labels that may occur, of which the examples have no other."""
    found: list[Any] = np.unique(host).tolist()
    if classes is None:
        return found
    unknown = [k for k in found if k not in classes]
    if unknown:
        rule = f"`y_true` must hold none but `labels`; it holds {unknown[0]!r}."
        call.fail(LabelError, rule, "y_true")
    return classes


def _column(call: Call, host: Host) -> Host:
    """Labels with one axis; numbers that are whole, or strings."""
    if host.dtype.kind == "O" and all(isinstance(k, str) for k in host.flat):
        host = host.astype(np.str_)
    given = call.given["y_true"]
    mixed = isinstance(given, (list, tuple)) and len({isinstance(k, str) for k in given}) > 1
    if host.dtype.kind == "S":
        call.fail(_BytesError, "`y_true` must not hold bytes.", "y_true", hint="decode them.")
    if host.dtype.kind not in "biufU" or mixed:
        call.fail(LabelError, "`y_true` must hold strings or whole numbers.", "y_true")
    if host.ndim not in (1, 2) or (host.ndim == 2 and host.shape[1] != 1):
        call.fail(ShapeError, "`y_true` must have one axis.", "y_true")
    if host.dtype.kind == "f" and not (host == np.floor(host)).all():
        call.fail(LabelError, "`y_true` must hold whole numbers.", "y_true")
    return host.reshape(-1)


def _declared(call: Call, labels: Any) -> list[Any]:
    """The labels that may occur, sorted; without NumPy where they are a list, for compilers."""
    found: Any = labels
    if not isinstance(labels, (list, tuple)):
        host = checks.values(labels, sync=True)
        found = None if host is None else host.tolist()
    whole = isinstance(found, (list, tuple)) and all(map(_is_label, found))
    if not whole or len({isinstance(k, str) for k in found}) != 1:
        rule = "`labels` must be a list of strings or of whole numbers whose values are known."
        raise OptionError(message(call.name, rule, {"labels": labels}))
    classes = sorted(found)
    if len(set(classes)) != len(classes):
        raise OptionError(message(call.name, "`labels` must be distinct.", {"labels": labels}))
    if classes != list(found):
        text = f"the columns of y_proba belong to the labels in sorted order: {classes}."
        warnings.warn(text, UserWarning, stacklevel=5)
    return classes


def _is_label(k: Any) -> bool:
    return isinstance(k, str) or (isinstance(k, numbers.Real) and float(k).is_integer())


def _refuse_traced(call: Call, option: str) -> None:
    rule = f"`{option}` must be given where the values of `y_true` are not known."
    raise OptionError(message(call.name, rule, {"y_true": call.given["y_true"], option: None}))
