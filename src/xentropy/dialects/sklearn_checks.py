"""The checks of scikit-learn, of which those of values are for arrays that can be read for free."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._labels import same
from xentropy.dispatch import backend_of, is_weak, message
from xentropy.errors import DTypeError, InputError, OptionError, ShapeError

__all__ = [
    "EPS",
    "answer",
    "checked",
    "choice",
    "finite",
    "probabilities",
    "real",
    "same_length",
    "shares",
    "values",
    "weights",
    "widest",
]

Host = np.ndarray[Any, Any]


EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


class _NoWeightError(InputError, ZeroDivisionError):
    """Weights of which some are not 0, but whose sum is."""


class _SharesError(ShapeError, TypeError):
    """Weights of another number of outputs; of a root scikit-learn says so with a TypeError."""


def answer(value: Any, dtype: Any) -> Any:
    """A Python float, as scikit-learn returns; a 0-d array where that would be the end of it.

    That is where a derivative may be asked for (`xentropy.value_and_grad`, predictions that
    require a gradient, a ``tf.GradientTape``), and where there is no value yet: under a compiler,
    a transform, or of a lazy array. Then the dtype is the one that scikit-learn computes in.
    """
    backend = backend_of(value)
    host = None
    if backend.eager() and not backend.followed(value):
        host = backend.concrete(value, sync=True)
    return steps.cast(value, dtype) if host is None else float(host)


def checked(name: str, given: dict[str, Any]) -> Call:
    """A call whose lists of numbers are as wide as the device allows."""
    call = Call(name, **given)
    for key in ("y_true", call.first):
        if call.given[key] is None:
            call.fail(DTypeError, f"`{key}` must be given.", key)
    first = call.given[call.first]
    call.dtype = "float64" if is_weak(first) else call.backend.accumulator(first)
    return call


def probabilities(name: str, y_true: Any, y_proba: Any, sample_weight: Any) -> tuple[Call, Any]:
    """A checked call, and its probabilities: ``(n,)`` of the positive class, or one column each."""
    given = {"y_proba": y_proba, "y_true": y_true, "sample_weight": sample_weight}
    call = checked(name, given)
    p = real(call, "y_proba")
    if call.kind(p) != "float":
        p = call.cast(p, call.backend.accumulator(p))
    host = finite(call, "y_proba", p)
    if host is not None and (host.min() < 0 or host.max() > 1):
        call.fail(InputError, "`y_proba` must lie in [0, 1].", "y_proba")
    kind = call.backend.dtype_name(p)
    call.dtype = "float64" if kind == "float64" else "float32"
    t = call.given["y_true"]
    same_length(call, "y_true", np.asarray(t) if is_weak(t) else t, p.shape[0])
    if p.ndim == 2 and p.shape[1] == 1:
        return call, steps.reshape(p, (-1,))
    if p.ndim == 2 and host is not None:
        tolerance = 1e-8 + EPS.get(kind, EPS["float32"]) ** 0.5
        if (abs(host.sum(axis=1, dtype=np.float64) - 1.0) > tolerance).any():
            text = "the rows of y_proba do not sum to 1: pass probabilities."
            warnings.warn(text, UserWarning, stacklevel=4)
    return call, p


def values(x: Any, *, sync: bool = False) -> Host | None:
    """What an argument holds; None where it is traced, or reading it would be waited for."""
    if is_weak(x):
        return np.asarray(x)
    backend = backend_of(x)
    if not backend.eager():
        return None
    return backend.concrete(backend.xp.stop_gradient(x), sync=sync)


def finite(call: Call, name: str, x: Any) -> Host | None:
    """The values of an argument, which must be numbers, and some."""
    if 0 in tuple(x.shape):
        call.fail(ShapeError, f"`{name}` must not be empty.", name)
    host = values(x)
    if host is None:
        return None
    if host.dtype.kind not in "biuf":  # bfloat16 and its like
        host = host.astype(np.float64)
    if not np.isfinite(host).all():
        call.fail(InputError, f"`{name}` must hold neither NaN nor infinities.", name)
    return host


def real(call: Call, name: str, most: int = 2) -> Any:
    """An argument as an array with one axis, or up to ``most``."""
    x = call.array(name)
    if call.kind(x) == "other":
        call.fail(DTypeError, f"`{name}` must be real.", name)
    if not 1 <= x.ndim <= most:
        rule = f"`{name}` must have one axis{' or two' if most == 2 else ''}."
        call.fail(ShapeError, rule, name)
    return x


def widest(call: Call) -> Any:
    """The dtype that scikit-learn computes a regression in: the widest floating one that came."""
    backend, like = call.backend, call.array(call.first)
    arrays = {name: x for name, x in call.given.items() if hasattr(x, "dtype")}
    names = {(backend_of(x) if is_weak(x) else backend).dtype_name(x) for x in arrays.values()}
    floats = {name for name in names if "float" in name}
    halves = floats and floats <= {"float16", "bfloat16"}
    if not floats:
        found = backend.default_float()
    elif "float64" in floats or (halves and call.given.get("sample_weight") is not None):
        found = backend.accumulator(like)
    elif floats == {backend.dtype_name(like)}:
        return like.dtype
    else:
        found = "float32"
    return getattr(backend.xp, found)


def weights(call: Call, n: Any, *, divides: bool) -> Any:
    """The weight of each example, or None."""
    if call.given.get("sample_weight") is None:
        return None
    w = real(call, "sample_weight", most=1)
    same_length(call, "sample_weight", w, n)
    host = finite(call, "sample_weight", w)
    if host is not None and not host.any():
        call.fail(InputError, "`sample_weight` must not be 0 everywhere.", "sample_weight")
    if divides:
        _check_divisor(call, "sample_weight", host)
    return _wide(call, w)


def shares(call: Call, name: str, n: Any) -> Any:
    """The weight of each of the outputs."""
    u = real(call, name)
    single = n == 1 and call.name != "root_mean_squared_error"
    if single or u.ndim != 1 or not same(u.shape[0], n):
        rule = f"`{name}` must have one entry for each of several outputs."
        call.fail(_SharesError, rule, call.first, name)
    _check_divisor(call, name, finite(call, name, u))
    return _wide(call, u)


def _wide(call: Call, w: Any) -> Any:
    wide = call.backend.dtype_name(w) in ("float32", "float64")
    return w if wide else steps.cast(w, getattr(call.backend.xp, call.dtype))


def _check_divisor(call: Call, name: str, host: Host | None) -> None:
    """Refuse weights whose sum is to divide and is 0."""
    if host is not None and host.sum(dtype=np.float64) == 0:
        call.fail(_NoWeightError, f"the sum of `{name}` must not be 0.", name)


def same_length(call: Call, name: str, x: Any, n: Any) -> None:
    """Refuse an argument that does not have one entry for each example."""
    if not same(x.shape[0], n):
        rule = f"`{name}` must have one entry for each example, as `{call.first}` has."
        call.fail(ShapeError, rule, call.first, name)


def choice(call: Call, name: str, value: Any, *others: str) -> Any:
    """An option that is on or off, or one of a few words."""
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, str) and value in others):
        return value
    allowed = ", ".join(["True", "False", *map(repr, others)])
    raise OptionError(message(call.name, f"`{name}` must be one of {allowed}.", {name: value}))
