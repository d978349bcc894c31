"""Rows of classes: along one axis or several, with masks of classes or of whole rows."""

from __future__ import annotations

from typing import Any, NamedTuple

from xentropy import _steps as steps
from xentropy.dispatch import message
from xentropy.errors import OptionError, ShapeError

from .arguments import Given, classes, merged, ranked, spread

__all__ = ["Rows", "dense", "index", "pair"]


class Rows(NamedTuple):
    """Predictions, labels, the class axis, and the masks that the core takes."""

    x: Any
    t: Any
    axis: int
    masks: dict[str, Any]


def dense(given: Given, axis: Any, *, expands: bool = True) -> Rows:
    """Logits and labels that are distributions, which broadcast both ways."""
    x, t, where = given["logits"], given["labels"], given.arrays.get("where")
    axes = classes(given, axis, x.ndim)
    if where is not None:
        where = _expanded(given, where, axes, expands)
    full = given.full(logits=x, labels=t, where=where)
    _check_classes(given, axis, axes, x, full)
    x, t = spread(x, full), ranked(t, full.ndim)
    where = where if where is None else ranked(where, full.ndim)
    if len(axes) != 1:
        x, t = merged(x, axes), merged(spread(t, full), axes)
        where = where if where is None else merged(spread(where, full), axes)
        axes = (-1,)
    masks = _masks(given, where, axes[0])
    if "class_mask" in masks:
        # A label on a class that is left out has no term; to the core it is impossible.
        if given.call.kind(t) != "float":
            t = given.xp.astype(t, given.xp.float32)
        t = steps.choose(spread(where, x), spread(t, x), 0.0)
    return Rows(x, t, axes[0], masks)


def index(given: Given, axis: Any) -> Rows:
    """Logits and indices of classes; several axes are counted as one."""
    x, labels, where = given["logits"], given["labels"], given["where"]
    if not isinstance(axis, (int, tuple)):
        rule = "`axis` must be an int or a tuple of ints."
        raise OptionError(message(given.call.name, rule, {"axis": axis}))
    axes = classes(given, axis, x.ndim)
    if where is not None:
        where = _expanded(given, where, axes, True)
    if len(axes) != 1:
        if where is not None:
            full = given.full(logits=x, where=where)
            where = merged(spread(where, full), axes)
            x = spread(x, full)
        x, axes = merged(x, axes), (-1,)
    (axis,) = axes
    if labels.ndim != x.ndim - 1:
        rule = f"`labels` must have the {x.ndim - 1} axes of `logits` that are not classes."
        given.call.fail(ShapeError, rule, "logits", "labels")
    position = axis % x.ndim
    # With the class axis, so that all three broadcast alike.
    wide = given.xp.expand_dims(labels, axis=position)
    full = given.full(logits=x, labels=wide, where=where)
    _check_classes(given, axis, axes, x, full)
    if tuple(wide.shape) != tuple(1 if i == position else n for i, n in enumerate(full.shape)):
        labels = spread(wide, full)[(slice(None),) * position + (0, ...)]
    return Rows(spread(x, full), labels, axis, _masks(given, where, axis))


def pair(
    given: Given, axis: Any, first: str, second: str, *, vectors: bool = False
) -> tuple[Any, Any, Any, int]:
    """Two arrays of one shape, a mask and the axis to sum along, as a formula takes them.

    What is a vector along the axis is not made longer: it would have another norm.
    """
    x, t, where = given[first], given[second], given["where"]
    full = given.full(**{first: x, second: t, "where": where})
    axes = classes(given, axis, full.ndim)
    for y in (x, t) if vectors else ():
        shape = ranked(y, full.ndim).shape
        if any(shape[a] != full.shape[a] for a in axes):
            rule = f"`{first}` and `{second}` must have vectors of one length."
            given.call.fail(ShapeError, rule, first, second)
    x, t = spread(x, full), spread(t, full)
    where = where if where is None else ranked(where, full.ndim)
    if len(axes) != 1:
        x, t = merged(x, axes), merged(t, axes)
        where = where if where is None else merged(spread(where, full), axes)
        axes = (-1,)
    return x, t, where, axes[0]


def _expanded(given: Given, where: Any, axes: tuple[int, ...], expands: bool) -> Any:
    """A mask of rows with the class axes as length 1."""
    rank, batch = given["logits"].ndim, given["logits"].ndim - len(axes)
    if where.ndim == rank:
        return where
    if where.ndim > batch or (where.ndim and not expands):
        rule = "`where` must have the rank of `logits`"
        rule += ", or that of the losses." if expands else "."
        given.call.fail(ShapeError, rule, "logits", "where")
    shape = [1] * (batch - where.ndim) + list(where.shape)
    for axis in sorted(a % rank for a in axes):
        shape.insert(axis, 1)
    return given.xp.reshape(where, tuple(-1 if n is None else n for n in shape))


def _check_classes(given: Given, axis: Any, axes: tuple[int, ...], x: Any, full: Any) -> None:
    """What broadcasts must leave the classes of the logits as they are, and where they are."""
    counted = axis if isinstance(axis, tuple) else (axis,)
    if full.ndim > x.ndim and not all(a is not None and a < 0 for a in counted):
        rule = "`axis` must be negative where `labels` have more axes than `logits`."
        given.call.fail(ShapeError, rule, "logits", "labels")
    if any(x.shape[a] != full.shape[a] for a in axes if isinstance(full.shape[a], int)):
        rule = "`logits` must have the classes of `labels` and `where`."
        given.call.fail(ShapeError, rule, "logits", "labels")
    if 0 in [x.shape[a] for a in axes]:
        given.call.fail(ShapeError, "`logits` must have at least one class.", "logits")


def _masks(given: Given, where: Any, axis: int) -> dict[str, Any]:
    """One mask of rows, or one of classes with that of the rows that keep one."""
    xp = given.xp
    if where is None:
        return {}
    if where.shape[axis] == 1:
        return {"where": xp.squeeze(where, axis)}
    kept = xp.max(xp.astype(where, xp.float32), axis=axis, keepdims=False) > 0
    return {"class_mask": where, "where": kept}
