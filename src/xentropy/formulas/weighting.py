"""Index labels, sample weights and masks: what all formulas share, written around them once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from xentropy._types import Namespace

from .formula import Formula, Role, along
from .numeric import times

__all__ = ["one_hot_rows", "weighted"]


class _Weighted(NamedTuple):
    """A loss without weights and masks, and what makes one with them of it; see `weighted`."""

    value: Callable[..., Any]
    partials: Callable[..., dict[str, Any]]
    inner: Mapping[str, str]  # what ``value`` calls the prediction and the labels
    of_indices: bool
    one_hot: bool
    reduces: Literal["axis", "none"]
    hides: bool  # whether a weight of 0 hides what holds no number

    def prepare(
        self, xp: Namespace, sample_weight: Any, keep: Any, arrays: dict[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Rename, hide what is left out, turn indices into one-hot rows; and what is not hidden."""
        arrays = {self.inner.get(name, name): x for name, x in arrays.items()}
        active = keep
        if sample_weight is not None and self.hides:
            # A weight of 0 hides only what holds no number: the others keep their derivatives by
            # it, of any order.
            shown = (sample_weight != 0) | _usable(xp, self.reduces, self.of_indices, **arrays)
            active = shown if keep is None else keep & shown
        if active is not None:
            # One half is inside the domain of logits and of probabilities.
            arrays["x"] = xp.where(active, arrays["x"], 0.5)
            arrays["t"] = xp.where(active, arrays["t"], 0)
        if self.of_indices and self.one_hot:
            arrays |= one_hot_rows(xp, **arrays)
        return arrays, active

    def weighted_value(self, xp: Namespace, *, sample_weight: Any, keep: Any, **arrays: Any) -> Any:
        arrays, active = self.prepare(xp, sample_weight, keep, arrays)
        return _scale(xp, self.value(xp, **arrays), sample_weight, active)

    def weighted_partials(
        self,
        xp: Namespace,
        wrt: tuple[str, ...],
        *,
        sample_weight: Any,
        keep: Any,
        **arrays: Any,
    ) -> Mapping[str, Any]:
        arrays, active = self.prepare(xp, sample_weight, keep, arrays)
        outer = tuple(name for name in wrt if name != "sample_weight")
        result: dict[str, Any] = {}
        if outer:
            names = [self.inner.get(name, name) for name in outer]
            found = self.partials(xp, tuple(names), **arrays)
            for name, inner in zip(outer, names, strict=True):
                result[name] = _scale(xp, found[inner], sample_weight, active)
        if "sample_weight" in wrt:
            losses = self.value(xp, **arrays)
            dropped = (sample_weight == 0) & ~xp.isfinite(losses)
            result["sample_weight"] = _scale(xp, xp.where(dropped, 0.0, losses), None, active)
        return result


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
    inner, hides = {prediction: "x", labels: "t"}, prediction_role != "constant"
    whole = _Weighted(value, partials, inner, index, one_hot, reduces, hides)
    return Formula(name, roles, reduces, whole.weighted_value, whole.weighted_partials)


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
