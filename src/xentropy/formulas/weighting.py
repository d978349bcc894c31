"""Index labels, sample weights and masks: what all formulas share, written around them once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from xentropy._types import Namespace

from .formula import Formula, Role, along
from .numeric import times

__all__ = ["one_hot_rows", "weighted"]


def weighted(
    name: str,
    value: Callable[..., Any],
    partials: Callable[..., dict[str, Any]],
    *,
    prediction: str,
    labels: str = "labels",
    index: bool = False,
    one_hot: bool = True,
    reduces: Literal["axis", "none"] = "axis",
    classes: tuple[str, ...] = (),
    constants: tuple[str, ...] = (),
    prediction_role: Role = "elements",
) -> Formula:
    """Make the formula ``sample_weight * value``, exactly 0 for the examples that are left out.

    ``value(xp, x, t, **rest)`` and ``partials(xp, wrt, x, t, **rest)`` see neither weights nor
    masks; with ``index`` they see indices as a one-hot ``t``, and in ``invalid`` the wrong ones,
    unless ``one_hot`` is turned off.
    """
    roles: dict[str, Role] = {
        prediction: prediction_role,
        labels: "constant" if index else "elements",
        **dict.fromkeys(classes, "classes"),
        **dict.fromkeys(constants, "constant"),
        "sample_weight": "examples",
        "keep": "constant",
    }
    rename = {prediction: "x", labels: "t"}

    def inner_name(name: str) -> str:
        return rename.get(name, name)

    def prepare(
        xp: Namespace, sample_weight: Any, keep: Any, arrays: dict[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Rename, hide what is left out, turn indices into one-hot rows; and what is not hidden."""
        arrays = {inner_name(name): x for name, x in arrays.items()}
        active = keep
        if sample_weight is not None and prediction_role != "constant":
            # A weight of 0 hides only what holds no number: the others keep their derivatives by
            # it, of any order.
            shown = (sample_weight != 0) | _usable(xp, reduces, index, **arrays)
            active = shown if keep is None else keep & shown
        if active is not None:
            # One half is inside the domain of logits and of probabilities.
            arrays["x"] = xp.where(active, arrays["x"], 0.5)
            arrays["t"] = xp.where(active, arrays["t"], 0)
        if index and one_hot:
            arrays |= one_hot_rows(xp, **arrays)
        return arrays, active

    def weighted_value(xp: Namespace, *, sample_weight: Any, keep: Any, **arrays: Any) -> Any:
        arrays, active = prepare(xp, sample_weight, keep, arrays)
        return _scale(xp, value(xp, **arrays), sample_weight, active)

    def weighted_partials(
        xp: Namespace, wrt: tuple[str, ...], *, sample_weight: Any, keep: Any, **arrays: Any
    ) -> Mapping[str, Any]:
        arrays, active = prepare(xp, sample_weight, keep, arrays)
        outer = tuple(name for name in wrt if name != "sample_weight")
        result: dict[str, Any] = {}
        if outer:
            found = partials(xp, tuple(map(inner_name, outer)), **arrays)
            for name in outer:
                result[name] = _scale(xp, found[inner_name(name)], sample_weight, active)
        if "sample_weight" in wrt:
            losses = value(xp, **arrays)
            dropped = (sample_weight == 0) & ~xp.isfinite(losses)
            result["sample_weight"] = _scale(xp, xp.where(dropped, 0.0, losses), None, active)
        return result

    return Formula(name, roles, reduces, weighted_value, weighted_partials)


def _usable(
    xp: Namespace,
    reduces: str,
    index: bool,
    *,
    x: Any,
    t: Any,
    axis: int | None = None,
    class_mask: Any = None,
    **_: Any,
) -> Any:
    """Whether the loss and its derivatives are numbers, as far as the inputs tell."""
    if reduces == "none":
        return xp.isfinite(x) & xp.isfinite(t)
    assert axis is not None
    kept = x if class_mask is None else xp.where(class_mask, x, -math.inf)
    usable = xp.isfinite(xp.max(kept, axis=axis, keepdims=True))
    if index:
        return usable & (t >= 0) & (t < xp.size(x, axis))
    largest = xp.max(xp.abs(t), axis=axis, keepdims=True) if t.ndim else t
    return usable & xp.isfinite(largest)


def _scale(xp: Namespace, x: Any, sample_weight: Any, active: Any) -> Any:
    if sample_weight is not None:
        x = times(xp, sample_weight, x)
    return x if active is None else xp.where(active, x, 0.0)


def one_hot_rows(
    xp: Namespace, x: Any, t: Any, *, axis: int, dtype: str, **_: Any
) -> dict[str, Any]:
    """Indices ``t`` as one-hot rows of the classes of ``x``, and which are none."""
    n = xp.size(x, axis)
    classes = xp.reshape(xp.class_range(t, n), along(axis, x.ndim))
    one_hot = xp.astype(t == classes, getattr(xp, dtype))
    return {"t": one_hot, "invalid": (t < 0) | (t >= n)}
