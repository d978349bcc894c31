"""What Keras does to arguments before a loss, and to losses after it."""

from __future__ import annotations

import numbers
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.dialects._speech import spoken
from xentropy.dispatch import Backend, backend_of, is_weak, message
from xentropy.errors import DTypeError, LabelError, OptionError, ShapeError, UnsupportedError

__all__ = [
    "as_keras",
    "axis_of",
    "broadcast",
    "cast",
    "dtype_named",
    "finish",
    "indices",
    "require_one_shape",
    "row_mean",
    "same_rank",
    "taken",
]

as_keras = spoken(
    {}, predictions="y_pred", probs="y_pred", logits="y_pred", targets="y_true", labels="y_true"
)


def taken(name: str, y_true: Any, y_pred: Any, **others: Any) -> tuple[Any, ...]:
    """The arguments as arrays of one family; lists become float32, Keras' default."""
    call = Call(name, y_pred=y_pred, y_true=y_true, **others)
    if y_true is None:
        call.fail(DTypeError, "`y_true` must be given.", "y_true")
    x = call.given["y_pred"]
    if is_weak(x) and not call.backend.owns(x):
        host = call._weak_values("y_pred").astype(np.float32)
        strong = [a for a in call.given.values() if a is not None and not is_weak(a)]
        x = call.backend.asarray(host, strong[0] if strong else None)
        call.given["y_pred"] = x
    call.x = x
    return x, *(_array(call, name) for name in ("y_true", *others))


def _array(call: Call, name: str) -> Any:
    given = call.given[name]
    if given is None or not is_weak(given) or call.backend.owns(given):
        return given
    host = call._weak_values(name)
    if host.dtype.kind == "f":
        wide = call.backend.dtype_name(call.x) == "float64"
        host = host.astype(np.float64 if wide else np.float32)
    return call.backend.asarray(np.asarray(host, order="C"), call.x)


def same_rank(a: Any, b: Any) -> tuple[Any, Any]:
    """Drop or add a last axis of length 1 where ranks differ by one, as Keras does."""
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, _longer(b)) if b.ndim == 1 else (_shorter(a), b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return (_longer(a), b) if a.ndim == 1 else (a, _shorter(b))
    return a, b


def _longer(x: Any) -> Any:
    return steps.reshape(x, (*x.shape, 1))


def _shorter(x: Any) -> Any:
    return steps.reshape(x, tuple(x.shape)[:-1])


def broadcast(name: str, *arrays: Any) -> tuple[Any, ...]:
    """All arrays in one shape, by NumPy's rules."""
    shapes = [tuple(x.shape) for x in arrays]
    if all(shape == shapes[0] for shape in shapes):
        return arrays
    try:
        full = steps.common_shape(shapes)
    except ValueError:
        shown = " and ".join(map(str, shapes))
        msg = f"xentropy.{name}: `y_true` and `y_pred` must broadcast to one shape, not {shown}."
        raise ShapeError(msg) from None
    ranked = [
        x if x.ndim == len(full) else steps.reshape(x, (1,) * (len(full) - x.ndim) + shape)
        for x, shape in zip(arrays, shapes, strict=True)
    ]
    xp = backend_of(ranked[0]).xp
    first, *others = (xp.astype(xp.zeros_like(x), xp.float32) for x in ranked)
    like = sum(others, first)
    return tuple(steps.broadcast(x, like) for x in ranked)


def require_one_shape(name: str, y_true: Any, y_pred: Any) -> None:
    """Refuse labels that are not of the shape of the predictions."""
    there, here = tuple(y_true.shape), tuple(y_pred.shape)
    if len(there) != len(here) or any(
        n != m for n, m in zip(there, here, strict=True) if n is not None and m is not None
    ):
        msg = f"xentropy.{name}: `y_true` must have the shape of `y_pred`, {here}, not {there}."
        raise ShapeError(msg)


def axis_of(name: str, axis: Any, x: Any) -> int:
    """An axis of an array, counted from the end."""
    is_int = not isinstance(axis, bool) and isinstance(axis, numbers.Integral)
    if not is_int or not -x.ndim <= axis < x.ndim:
        msg = f"xentropy.{name}: `axis` must be an int in [{-x.ndim}, {x.ndim}), not {axis!r}."
        raise OptionError(msg)
    position: int = int(axis) % x.ndim - x.ndim
    return position


def row_mean(losses: Any, axis: int | None = -1) -> Any:
    """The mean along an axis, or of all; NaN of none."""
    if axis is None:
        return steps.mean(losses, of_none=float("nan"))
    if not losses.ndim:
        msg = "`y_pred` must have an axis, to take the mean along."
        raise ShapeError(msg)
    backend = backend_of(losses)
    xp = backend.xp
    n = xp.size(losses, axis)
    if isinstance(n, int):
        with _quiet(backend):
            return steps.row_sum(losses, axis, 1.0 / n if n else float("nan"))
    return steps.multiply(steps.row_sum(losses, axis), 1.0 / xp.astype(n, losses.dtype))


def indices(y_true: Any, ignored: int | None) -> Any:
    """Labels as integers: whole numbers as they are, others as an index that is none.

    Where they can be read for free, others are refused.
    """
    backend = backend_of(y_true)
    xp, kind = backend.xp, backend.dtype_name(y_true)
    if "int" in kind:
        return y_true
    host = backend.concrete(y_true)
    if host is not None:
        _require_whole(np.asarray(host, np.float64), y_true)
    given = y_true if kind == "float64" else xp.astype(y_true, xp.float32)
    wrong = -1 if ignored != -1 else -2
    fitting = xp.where(xp.abs(given) < 2.0**31, given, wrong)
    whole = xp.astype(fitting, getattr(xp, backend.index_dtype(y_true)))
    return xp.where(xp.astype(whole, given.dtype) == given, whole, wrong)


def _require_whole(host: Any, y_true: Any) -> None:
    bad = ~(np.isfinite(host) & (host == np.trunc(host)))
    if not bad.any():
        return
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    place = f"labels[{', '.join(map(str, at))}]" if at else "labels"
    rule = f"`labels` must be whole numbers; {place} is {host[at]:g}."
    hint = "labels that are distributions need the loss without `sparse` in its name."
    raise LabelError(message("keras", rule, {"labels": y_true}, hint))


_DTYPES = ("float16", "bfloat16", "float32", "float64")


def dtype_named(dtype: Any) -> str:
    """The name of the dtype that a class of Keras computes in."""
    dtype = getattr(dtype, "compute_dtype", dtype)
    if dtype is None:
        return "float32"
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None) or str(dtype)
    name = name.rpartition(".")[2].removeprefix("mixed_")
    if name not in _DTYPES:
        msg = f"`dtype` must be one of {', '.join(_DTYPES)}, not {dtype!r}."
        raise OptionError(msg)
    return str(name)


def cast(x: Any, name: str) -> Any:
    """An array in a dtype by its name."""
    backend = backend_of(x)
    if backend.dtype_name(x) == name:
        return x
    found = getattr(backend.xp, name, None)
    if found is None:
        # Formulas have no use for 16 bits: their namespaces do not hold them.
        home = sys.modules.get(type(x).__module__.partition(".")[0])
        found = getattr(home, name, None)
    if found is None:
        try:
            found = backend.asarray(np.zeros((), name), x).dtype
        except TypeError:
            msg = f"{backend.name} has no {name} here.\nHint: for bfloat16 import ml_dtypes."
            raise UnsupportedError(msg) from None
    return finish(x, found)


def finish(losses: Any, dtype: Any) -> Any:
    """Losses in the dtype of the original; what overflows is infinite, as in the formulas."""
    with _quiet(backend_of(losses)):
        return steps.cast(losses, dtype)


def _quiet(backend: Backend) -> AbstractContextManager[Any]:
    """Without NumPy's warnings; of what torch.compile reads there are none."""
    return nullcontext() if backend.autodiff else np.errstate(all="ignore")
