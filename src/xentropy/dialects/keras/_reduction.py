"""What the classes of Keras do around a loss: casts, masks, weights and the reduction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xentropy import _steps as steps
from xentropy.dispatch import backend_of
from xentropy.errors import ShapeError

from ._inputs import broadcast, cast, indices, same_rank, taken
from ._trained import mask_of
from .crossentropy import without_class_axis

__all__ = ["REDUCTIONS", "reduced"]

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def reduced(
    call: Callable[[Any, Any], Any],
    y_true: Any,
    y_pred: Any,
    sample_weight: Any,
    *,
    name: str,
    options: Mapping[str, Any],
    reduction: str | None,
    dtype: str,
    of_indices: bool,
) -> Any:
    """The losses that ``call`` returns of a batch, weighted and reduced as ``Loss.__call__`` does.

    It is the function of that name with these options.
    """
    mask = mask_of(y_pred)
    x, t, weight, mask = taken(name, y_true, y_pred, sample_weight=sample_weight, mask=mask)
    x = cast(x, dtype)
    if dtype in ("float16", "bfloat16"):
        x = cast(x, "float32")  # Rounded as in Keras; what follows is computed in float32.
    if not of_indices:
        t, x = same_rank(t, x)
    if mask is not None:
        mask = mask != 0 if backend_of(mask).dtype_name(mask) != "bool" else mask
        t, x = _without(mask, t, x, options.get("axis", -1), of_indices)
    losses = call(t, x)
    if options.get("ignore_class") is not None:
        t = indices(without_class_axis(t, x, options["axis"]), options["ignore_class"])
        kept = t != options["ignore_class"]
        mask = kept if mask is None else _aligned(kept, mask)
    return cast(_reduce(losses, weight, mask, reduction), dtype)


def _aligned(kept: Any, mask: Any) -> Any:
    kept, mask = same_rank(kept, mask)
    return kept & mask


def _without(mask: Any, t: Any, x: Any, axis: int | None, of_indices: bool) -> tuple[Any, Any]:
    """Labels and predictions that are harmless where a mask leaves them out."""
    xp = backend_of(x).xp
    shape = list(x.shape)
    if axis is None:
        return t, x
    del shape[axis]
    if tuple(mask.shape) == (*shape, 1) and len(shape):
        mask = xp.squeeze(mask, -1)
    if tuple(mask.shape) != tuple(shape):
        return t, x
    wide = xp.expand_dims(mask, axis=axis)
    if of_indices:
        t = xp.where(mask if t.ndim == mask.ndim else wide, t, 0)
    elif tuple(t.shape) == tuple(x.shape):
        t = steps.choose(wide, steps.cast(t, x.dtype), 0.0)
    return t, steps.choose(wide, x, 0.5)


def _reduce(losses: Any, weight: Any, mask: Any, how: str | None) -> Any:
    xp = backend_of(losses).xp
    kept = None
    if weight is not None:
        weight = steps.cast(weight, losses.dtype)
    if mask is not None:
        kept = xp.astype(mask, losses.dtype)
        weight = kept if weight is None else steps.multiply(*_fitted(*same_rank(weight, kept)))
    if weight is not None:
        losses, weight = same_rank(losses, weight)
        losses = steps.multiply(*_fitted(losses, weight))
    if how in ("none", None) or tuple(losses.shape) in ((), (0,)):
        return losses
    if how == "sum":
        return steps.total(losses)
    if how == "mean_with_sample_weight":
        return steps.mean(losses) if weight is None else steps.mean_or_zero(losses, weight)
    if kept is None:
        return steps.mean(losses)
    valid = steps.total(kept)
    whole, masked = xp.size(losses, None), xp.size(kept, None)
    if isinstance(whole, int) and isinstance(masked, int):
        valid = valid * (whole / masked if masked else 1.0)
    return steps.mean(losses, None, valid)


def _fitted(x: Any, weight: Any) -> Any:
    """Both in one shape, by NumPy's rules."""
    try:
        return broadcast("Loss", x, weight)
    except ShapeError:
        shapes = f"{tuple(x.shape)}, not {tuple(weight.shape)}"
        msg = f"`sample_weight` must broadcast with the losses, {shapes}."
        raise ShapeError(msg) from None
