"""Value and gradient of a loss, with one signature on every framework."""

from __future__ import annotations

import functools
import inspect
import numbers
import sys
from collections.abc import Callable
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np

from ._tape import Tape, recording
from ._types import Arrays
from .dispatch import AutodiffBackend, Backend, backend_of, is_weak, message
from .errors import DTypeError, OptionError, UnsupportedError, XentropyError
from .reduction import Mean

__all__ = ["value_and_grad"]

_OURS = ("xentropy.losses.", "xentropy.dialects.")
# Of `*args` and `**kwargs`.
_PACKED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


P = ParamSpec("P")
R = TypeVar("R")


def value_and_grad(
    loss: Callable[P, R], argnums: int | str | tuple[int | str, ...] = 0
) -> Callable[P, tuple[R, Any]]:
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
        If ``argnums`` is empty or names no argument of the call.
    DTypeError
        If an argument to differentiate is not floating, the loss does not take it as an array (an
        option, or a list of indices), or ``loss`` returns neither a floating array nor a `Mean`.
    UnsupportedError
        For arrays without automatic differentiation, if ``loss`` is not one of the library's; and
        for a function whose arguments have no names.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> grad_fn = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    >>> value, grad = grad_fn(np.zeros((1, 2)), np.array([0]), reduction="mean")
    >>> grad
    array([[-0.5,  0.5]])
    """
    targets = argnums if isinstance(argnums, tuple) else (argnums,)
    if not targets:
        rule = "`argnums` must name an argument at least."
        hint = "0 stands for the predictions."
        raise OptionError(message("value_and_grad", rule, {"argnums": argnums}, hint))
    signature = _signature(loss)
    inner: Any = loss
    held: Arrays = ()
    while isinstance(inner, functools.partial):
        inner, held = inner.func, (*inner.args, *held)

    @functools.wraps(inner)
    def evaluate(*args: P.args, **kwargs: P.kwargs) -> tuple[R, Any]:
        bound = signature.bind_partial(*args, **kwargs)
        bound.apply_defaults()
        names = [_argument(loss, bound, target) for target in targets]
        backend, like = _backend(inner, (*held, *bound.arguments.values()))
        given = dict(bound.arguments)

        def call(**arrays: Any) -> Any:
            bound.arguments.update({**given, **arrays})
            return loss(*bound.args, **bound.kwargs)

        primals = {name: _primal(backend, like, name, given[name]) for name in names}
        _check_floating(call, given, primals)
        try:
            reduces = given.get("reduction", "none") != "none"
            value, gradients = _differentiate(backend, call, primals, reduces)
        except XentropyError:
            _check_conversions(call, given, primals)
            raise
        found = tuple(gradients[name] for name in names)
        return value, found if isinstance(argnums, tuple) else found[0]

    evaluate.__signature__ = signature  # type: ignore[attr-defined]
    return evaluate


def _signature(loss: Any) -> inspect.Signature:
    try:
        return inspect.signature(loss)
    except (TypeError, ValueError):
        _refuse_nameless(loss)
    except AttributeError:
        # Of a function that is made in what torch.compile reads it knows the names, no defaults.
        code, kind = loss.__code__, inspect.Parameter
        split = code.co_argcount
        names = code.co_varnames[: split + code.co_kwonlyargcount]
        found = [kind(name, kind.POSITIONAL_OR_KEYWORD) for name in names[:split]]
        found += [kind(name, kind.KEYWORD_ONLY) for name in names[split:]]
        return inspect.Signature(found)


def _refuse_nameless(loss: Any) -> NoReturn:
    rule = "`loss` must be a function whose arguments have names."
    hint = "pass a public loss, or a function that calls yours."
    raise UnsupportedError(message("value_and_grad", rule, {"loss": loss}, hint)) from None


def _argument(loss: Any, bound: inspect.BoundArguments, target: Any) -> str:
    """The name of the argument that is meant."""
    parameters = bound.signature.parameters
    name: str | None = target if isinstance(target, str) else None
    if not isinstance(target, bool) and isinstance(target, numbers.Integral):
        name = dict(enumerate(parameters)).get(int(target))
    packed = {k: x for k, x in bound.arguments.items() if parameters[k].kind in _PACKED}
    if name in packed or any(name in x for x in packed.values() if isinstance(x, dict)):
        _refuse_nameless(loss)
    if name is not None and bound.arguments.get(name) is not None:
        return name
    rule = "`argnums` must be the position or name of an argument of the call, or a tuple of these."
    hint = _hint(bound.arguments)
    raise OptionError(message("value_and_grad", rule, {"argnums": target}, hint))


def _hint(arguments: dict[str, Any]) -> str:
    names = [name for name, x in arguments.items() if _is_floating(x)]
    return f"the floating arrays of the call are {', '.join(names)}." if names else ""


def _is_floating(x: Any) -> bool:
    """Whether ``x`` is a floating array or a list of numbers of which one is a float."""
    try:
        if isinstance(x, (list, tuple)):
            return len(x) > 0 and np.asarray(x).dtype.kind == "f"
        return hasattr(x, "shape") and "float" in backend_of(x).dtype_name(x)
    except (RuntimeError, TypeError, ValueError):
        return False


def _backend(inner: Any, arguments: Arrays) -> tuple[Backend, Any]:
    """The framework of the arguments and one of its arrays, unless all are weak."""
    backend, like = backend_of(np.empty(0)), None
    # In the losses predictions come first, and those of NumPy are not converted.
    first = arguments[0] if _is_ours(inner, _OURS[:1]) else None
    if not isinstance(first, np.ndarray):
        for x in arguments:
            if hasattr(x, "shape") and not is_weak(x):
                backend, like = backend_of(x), x
                break
    if not backend.autodiff and not _is_ours(inner):
        _refuse_foreign(backend, inner)
    return backend, like


def _refuse_foreign(backend: Backend, inner: Any) -> NoReturn:
    around = ", not a function around one" if hasattr(inner, "__wrapped__") else ""
    rule = (
        f"on {backend.name}, which has no automatic differentiation, only the library's own "
        f"losses can be differentiated{around}."
    )
    hint = (
        "pass a public loss, a dialect's, or a functools.partial of one; for second derivatives "
        "arrays of a framework that differentiates."
    )
    raise UnsupportedError(message("value_and_grad", rule, {"loss": inner}, hint))


def _primal(backend: Backend, like: Any, name: str, x: Any) -> Any:
    """``x`` as a floating array of the call's family, None where it is none."""
    if isinstance(x, np.ma.MaskedArray):
        return None
    if is_weak(x) and not (isinstance(x, np.ndarray) and backend.owns(x)):
        host = _host(backend, x)
        if host is None:
            return None
        try:
            x = backend.asarray(host, like)
        except (TypeError, ValueError):
            rule = f"`{name}` has a dtype of which {backend.name} makes no array."
            hint = "cast it to float32 or float64."
            raise DTypeError(message("value_and_grad", rule, {name: x}, hint)) from None
    return x if backend.owns(x) and "float" in backend.dtype_name(x) else None


def _host(backend: Backend, x: Any) -> np.ndarray[Any, Any] | None:
    """A weak argument as an array of NumPy, None where it cannot be differentiated."""
    is_array = isinstance(x, (np.ndarray, np.generic))
    try:
        host = np.asarray(x)
    except (RuntimeError, TypeError, ValueError):
        return None
    if not backend.eager():
        # A compiler reads NumPy too, but not its dtypes.
        return host if is_array else host.astype(backend.default_float())
    if is_array and "float" in host.dtype.name:
        # Frameworks read neither foreign byte orders nor negative strides.
        return np.asarray(host, dtype=host.dtype.newbyteorder("="), order="C")
    is_number = not is_array and host.dtype.kind in "iuf"
    return host.astype(backend.default_float()) if is_number else None


def _check_floating(
    call: Callable[..., Any], given: dict[str, Any], primals: dict[str, Any]
) -> None:
    for name, primal in primals.items():
        if primal is None:
            call()  # What is wrong with the call anyway is for the loss to say.
            rule = f"`{name}` must be floating to be differentiated."
            text = message("value_and_grad", rule, {name: given[name]}, _hint(given))
            raise DTypeError(text)


def _check_conversions(
    call: Callable[..., Any], given: dict[str, Any], primals: dict[str, Any]
) -> None:
    """Refuse what the loss takes as it came but not as an array: an option, a list of indices."""
    converted = [name for name, primal in primals.items() if primal is not given[name]]
    if not converted:
        return
    try:
        call()
    except XentropyError as error:
        raise error from None
    for name in converted:
        try:
            call(**{name: primals[name]})
        except XentropyError:
            rule = f"`{name}` cannot be differentiated: the loss takes no floating array for it."
            text = message("value_and_grad", rule, {name: given[name]}, _hint(given))
            raise DTypeError(text) from None


def _differentiate(
    backend: Backend, call: Callable[..., Any], primals: dict[str, Any], reduces: bool
) -> tuple[Any, dict[str, Any]]:
    arrays = tuple(primals.values())
    if isinstance(backend, AutodiffBackend):

        def scalar(*arrays: Any) -> tuple[Any, Any]:
            """What is differentiated, and what the caller gets back."""
            value = call(**dict(zip(primals, arrays, strict=True)))
            root = _root(backend, value)
            return backend.xp.sum(root, axis=None, keepdims=False) if root.ndim else root, value

        value, gradients = backend.value_and_grad(scalar, arrays)
    else:
        # A view of its own makes each argument distinct, also where one array is passed twice.
        arrays = tuple(x[...] for x in arrays)
        with recording(arrays, reduces) as tape:
            value = call(**dict(zip(primals, arrays, strict=True)))
        gradients = _from_tape(backend, tape, _root(backend, value), arrays)
    return value, dict(zip(primals, gradients, strict=True))


def _root(backend: Backend, value: Any) -> Any:
    """The losses or their sum."""
    root = value.total if isinstance(value, Mean) else value
    if backend.owns(root) and "float" in backend.dtype_name(root):
        return root
    rule = f"`loss` must return a floating array of {backend.name}, or a Mean."
    hint = "return the loss alone; of what value_and_grad returns, one part."
    raise DTypeError(message("value_and_grad", rule, {"value": value}, hint))


def _from_tape(backend: Backend, tape: Tape, root: Any, primals: Arrays) -> Arrays:
    """The gradients by the formulas' own partials."""
    with np.errstate(all="ignore"):
        gradients = tape.gradients(root, backend.xp.ones_like(root))
    return tuple(
        backend.xp.zeros_like(x) if g is None else g
        for x, g in zip(primals, gradients, strict=True)
    )


def _is_ours(function: Any, modules: tuple[str, ...] = _OURS) -> bool:
    """Whether it is what its name says: a wrapper takes the name over, but may do more.

    An instance is what its class is.
    """
    if not hasattr(function, "__name__"):
        function = type(function)
    module = str(getattr(function, "__module__", ""))
    found = getattr(sys.modules.get(module), getattr(function, "__name__", ""), None)
    return f"{module}.".startswith(modules) and found is function
