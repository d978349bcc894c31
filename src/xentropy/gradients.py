"""Value and gradient of a loss, with one signature on every framework."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from ._tape import recording
from ._types import Arrays
from .dispatch import Backend, backend_of, is_weak, message
from .errors import DTypeError, OptionError, UnsupportedError
from .reduction import Mean

__all__ = ["value_and_grad"]

_OURS = ("xentropy.losses.", "xentropy.dialects.")


def value_and_grad(
    loss: Callable[..., Any], argnums: int | str | tuple[int | str, ...] = 0
) -> Callable[..., tuple[Any, Any]]:
    """Turn a loss into a function that returns its value and its gradient.

    Parameters
    ----------
    loss : callable
        A public loss, a dialect's, or a `functools.partial` of one. In PyTorch, TensorFlow and
        JAX, whose own automatic differentiation is used, any function of arrays.
    argnums : int, str, or tuple of these, default 0
        What to differentiate with respect to: positions or names of arguments.

    Returns
    -------
    callable
        With the signature of ``loss``. It returns ``(value, gradient)``: the value as ``loss``
        gives it, and for each of ``argnums`` the gradient in the shape and dtype of that argument,
        in a tuple if ``argnums`` is one. With ``reduction="none"`` it is the gradient of the sum,
        with ``"partial"`` that of the total.

    Raises
    ------
    OptionError
        If ``argnums`` names no argument of the call.
    DTypeError
        If an argument to differentiate is not floating.
    UnsupportedError
        For arrays without automatic differentiation, if ``loss`` is not one of the library's.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> grad_fn = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    >>> value, grad = grad_fn(np.zeros((1, 2)), np.array([0]), reduction="mean")
    >>> grad
    array([[-0.5,  0.5]])
    """
    targets = argnums if isinstance(argnums, tuple) else (argnums,)
    signature = _signature(loss)
    inner: Any = loss
    while isinstance(inner, functools.partial):
        inner = inner.func

    @functools.wraps(inner)
    def evaluate(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        names = [_argument(bound, target) for target in targets]
        backend, like = _backend(bound.arguments)
        primals = tuple(_primal(backend, like, name, bound.arguments[name]) for name in names)

        def call(*arrays: Any) -> Any:
            bound.arguments.update(zip(names, arrays, strict=True))
            return loss(*bound.args, **bound.kwargs)

        if backend.autodiff:
            value, gradients = backend.value_and_grad(
                lambda *arrays: _scalar(backend, call(*arrays)), primals
            )
        else:
            value, gradients = _from_tape(backend, inner, call, primals)
        return value, gradients if isinstance(argnums, tuple) else gradients[0]

    return evaluate


def _signature(loss: Any) -> inspect.Signature:
    try:
        return inspect.signature(loss)
    except (TypeError, ValueError):
        rule = "`loss` must be a function whose arguments have names."
        hint = "pass a public loss, or a function that calls yours."
        raise UnsupportedError(message("value_and_grad", rule, {"loss": loss}, hint)) from None


def _argument(bound: inspect.BoundArguments, target: int | str) -> str:
    names = list(bound.signature.parameters)
    name = target
    if isinstance(target, int) and 0 <= target < len(names):
        name = names[target]
    if isinstance(name, str) and bound.arguments.get(name) is not None:
        return name
    arrays = [k for k, x in bound.arguments.items() if hasattr(x, "shape") or _is_list(x)]
    rule = "`argnums` must be the position or name of an argument of the call."
    hint = f"the arrays of the call are {', '.join(arrays)}." if arrays else ""
    raise OptionError(message("value_and_grad", rule, {"argnums": target}, hint))


def _is_list(x: Any) -> bool:
    return isinstance(x, (list, tuple)) and len(x) > 0


def _backend(arguments: dict[str, Any]) -> tuple[Backend, Any]:
    """The framework of the arguments and one of its arrays, unless all are weak."""
    for x in arguments.values():
        if hasattr(x, "shape") and not is_weak(x):
            return backend_of(x), x
    return backend_of(np.empty(0)), None


def _primal(backend: Backend, like: Any, name: str, x: Any) -> Any:
    if is_weak(x) and not (isinstance(x, np.ndarray) and backend.owns(x)):
        host = np.asarray(x)
        if not isinstance(x, (np.ndarray, np.generic)):
            host = host.astype(backend.default_float())
        x = backend.asarray(host, like)
    if not hasattr(x, "dtype") or "float" not in backend.dtype_name(x):
        rule = f"`{name}` must be floating to be differentiated."
        raise DTypeError(message("value_and_grad", rule, {name: x}))
    return x


def _scalar(backend: Backend, value: Any) -> tuple[Any, Any]:
    """What is differentiated, and what the caller gets back."""
    root = value.total if isinstance(value, Mean) else value
    return (backend.xp.sum(root, axis=None, keepdims=False) if root.ndim else root), value


def _from_tape(
    backend: Backend, inner: Any, call: Callable[..., Any], primals: Arrays
) -> tuple[Any, Arrays]:
    """Differentiate with the formulas' own partials."""
    if not _is_ours(inner):
        rule = f"on {backend.name} only the library's own losses can be differentiated."
        hint = "pass a public loss, a dialect's, or a functools.partial of one."
        raise UnsupportedError(message("value_and_grad", rule, {"loss": inner}, hint))
    # A view of its own makes each argument distinct, also where the caller passes one array twice.
    primals = tuple(x[...] for x in primals)
    with recording() as tape:
        value = call(*primals)
    root = value.total if isinstance(value, Mean) else value
    with np.errstate(all="ignore"):
        gradients = tape.gradients(root, backend.xp.ones_like(root), primals)
    return value, tuple(
        backend.xp.zeros_like(x) if g is None else g
        for x, g in zip(primals, gradients, strict=True)
    )


def _is_ours(function: Any) -> bool:
    """Whether it is what its name says: a wrapper takes the name over, but may do more."""
    module = str(getattr(function, "__module__", ""))
    found = getattr(sys.modules.get(module), getattr(function, "__name__", ""), None)
    return f"{module}.".startswith(_OURS) and found is function
