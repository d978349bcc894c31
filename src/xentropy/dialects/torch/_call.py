"""What a call of torch has in common: arguments, dtypes, shapes, reductions and errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.dialects._speech import spoken
from xentropy.dialects._speech import warn as speak
from xentropy.dispatch import is_weak
from xentropy.errors import DTypeError, InputError, OptionError, ShapeError

__all__ = [
    "NAN",
    "arguments",
    "broadcast",
    "common",
    "floating",
    "is_given",
    "legacy",
    "of_torch",
    "promoted",
    "ranked",
    "reduced",
    "reduction_of",
    "same_size",
    "values",
    "widened",
]

NAN = float("nan")
F = TypeVar("F", bound=Callable[..., Any])

# torch says most with a RuntimeError, of which a NotImplementedError is one.
_KINDS: dict[Any, type[Exception]] = {
    InputError: RuntimeError,
    DTypeError: NotImplementedError,
    ShapeError: RuntimeError,
    OptionError: RuntimeError,
}


_OPTIONAL = ("weight", "pos_weight", "linear_bias")


def of_torch(**names: str) -> Callable[[F], F]:
    """A function of the dialect: ``names`` says what it calls the arguments of the core."""
    return spoken(_KINDS, **names)


def arguments(name: str, /, **given: Any) -> tuple[Any, ...]:
    """The call, and its arguments as arrays of one family; the predictions come first."""
    call = Call(name, **given)
    for key, x in given.items():
        if x is None and key not in _OPTIONAL:
            call.fail(DTypeError, f"`{key}` must be given.", key)
    first = next(iter(given))
    call.x = call.given[first]
    if not hasattr(call.x, "shape"):
        call.x = call.adopt(np.asarray(call.x, call.backend.default_float()))
        call.given = {**call.given, first: call.x}
    call.dtype = "float64" if call.backend.dtype_name(call.x) == "float64" else "float32"
    arrays = [None if x is None else call.array(k) for k, x in call.given.items()]
    return (call, *arrays)


_WIDTH = {"float32": 1, "float64": 2}


def promoted(call: Call, *names: str, by_rank: bool = False) -> Any:
    """The dtype of torch's result; numbers and lists do not widen it.

    ``by_rank``: nor do 0-d arrays beside others.
    """
    xp = call.backend.xp
    arrays = [x for x in map(call.given.get, names) if x is not None and call.backend.owns(x)]
    for x in arrays:
        if call.kind(x) == "other":
            call.fail(DTypeError, "arrays must be real.", *names)
    floats = [x for x in arrays if call.kind(x) == "float"]
    if by_rank:
        floats = [x for x in floats if x.ndim] or floats
    found = {call.backend.dtype_name(x): x.dtype for x in floats}
    widest = max(found, key=lambda name: _WIDTH.get(name, 0), default="float32")
    tie = widest not in _WIDTH and len(found) > 1
    return xp.float32 if not found or tie else found[widest]


def widened(call: Call, x: Any, dtype: Any) -> Any:
    """``x`` so that what is computed of it has the digits of a result of that dtype."""
    xp = call.backend.xp
    if dtype == xp.float64:
        return steps.cast(x, dtype)
    return x if call.kind(x) == "float" else xp.astype(x, xp.float32)


def floating(call: Call, x: Any, name: str) -> None:
    """Refuse what is not floating."""
    if call.kind(x) != "float":
        call.fail(DTypeError, f"`{name}` must be floating.", name)


def same_size(call: Call, *names: str) -> None:
    """Refuse arrays of different shapes."""
    first, *others = names
    for name in others:
        if call.given[name] is not None and _shape(call, name) != _shape(call, first):
            rule = f"`{name}` must have the shape of `{first}`; nothing is broadcast."
            call.fail(ShapeError, rule, first, name)


def _shape(call: Call, name: str) -> tuple[Any, ...]:
    return tuple(call.array(name).shape)


def broadcast(call: Call, x: Any, t: Any, *, warn: bool = False) -> tuple[Any, Any]:
    """Both in their common shape, into which torch expands them, regression with a warning."""
    shapes = tuple(x.shape), tuple(t.shape)
    if shapes[0] == shapes[1]:
        return x, t
    if warn:
        text = f"the target size {shapes[1]} is not the input size {shapes[0]}: both are broadcast."
        speak(x, text, stacklevel=5)
    rank = len(common(call, "input", "target"))
    xp = call.backend.xp
    x, t = ranked(x, rank), ranked(t, rank)
    like = xp.zeros_like(x) + xp.astype(xp.zeros_like(t), x.dtype)
    return steps.broadcast(x, like), steps.broadcast(t, like)


def common(call: Call, *names: str) -> tuple[Any, ...]:
    """The shape to which arrays broadcast."""
    try:
        return steps.common_shape([_shape(call, name) for name in names])
    except ValueError:
        rule = f"{' and '.join(f'`{name}`' for name in names)} must broadcast."
        call.fail(ShapeError, rule, *names)


def ranked(x: Any, rank: int) -> Any:
    """``x`` with axes of length 1 before its own; JAX may be told to refuse to add them."""
    missing = rank - x.ndim
    return steps.reshape(x, (1,) * missing + tuple(x.shape)) if x.ndim and missing else x


def values(call: Call, array: Any) -> np.ndarray[Any, Any] | None:
    """What an array holds, where reading it costs nothing."""
    xp = call.backend.xp
    return call.backend.concrete(call.cast(xp.stop_gradient(array)))


def legacy(size_average: Any, reduce: Any, of: Any = None, *, stacklevel: int = 4) -> str | None:
    """What the deprecated arguments mean, which come first; ``of`` is the input of a call."""
    if size_average is None and reduce is None:
        return None
    text = "size_average and reduce are deprecated: use reduction."
    speak(of, text, stacklevel=stacklevel)
    if reduce is not None and not reduce:
        return "none"
    return "sum" if size_average is not None and not size_average else "mean"


def reduction_of(
    of: Any,
    reduction: Any,
    size_average: Any = None,
    reduce: Any = None,
    *more: str,
    old_name: bool = True,
) -> str:
    """One of none, mean, sum and ``more``; ``old_name``: elementwise_mean is taken too."""
    found = legacy(size_average, reduce, of, stacklevel=5)
    if found is not None:
        return found
    if reduction == "elementwise_mean" and old_name:
        speak(of, "reduction='elementwise_mean' is deprecated: use 'mean'.", stacklevel=4)
        return "mean"
    known = ("none", "mean", "sum", *more)
    if reduction not in known:
        msg = f"`reduction` must be one of {', '.join(map(repr, known))}, not {reduction!r}."
        raise OptionError(msg)
    return str(reduction)


def reduced(losses: Any, how: str, dtype: Any) -> Any:
    """The losses, their sum, or their mean, which is NaN of none."""
    if how == "sum":
        losses = steps.total(losses)
    elif how == "mean":
        losses = steps.mean(losses, of_none=NAN)
    return steps.cast(losses, dtype)


def is_given(call: Call, name: str) -> bool:
    """Whether an argument came as an array of the call's family."""
    x = call.given[name]
    return x is not None and (not is_weak(x) or call.backend.owns(x))
