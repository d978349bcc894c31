"""What the core says of a call, in the words of a dialect: names, kinds of errors, warnings."""

from __future__ import annotations

import functools
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

from xentropy.dispatch import backend_of
from xentropy.errors import XentropyError

__all__ = ["spoken", "warn"]

F = TypeVar("F", bound=Callable[..., Any])
Kinds = Mapping[type[XentropyError], type[Exception]]


def spoken(kinds: Kinds, /, **names: str) -> Callable[[F], F]:
    """Let the errors of a function be those that callers of the original catch.

    Parameters
    ----------
    kinds : mapping
        Which builtin error an error of the library is to be as well.
    **names : str
        What the original calls the arguments of the core.
    """

    def decorate(function: F) -> F:
        function.__module__ = _public(function.__module__)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except XentropyError as error:
                said = _renamed(str(error), f"{function.__module__}.{function.__qualname__}", names)
                kind = _both(type(error), _theirs(kinds, error))  # type: ignore[arg-type]
                raise kind(said) from None

        # As in `xentropy`: nothing in here is for TensorFlow's AutoGraph to rewrite.
        call.autograph_info__ = None  # type: ignore[attr-defined]
        return cast(F, call)

    return decorate


def warn(x: Any, text: str, category: type[Warning] = UserWarning, *, stacklevel: int) -> None:
    """Warn of a call with an argument ``x``, unless a compiler reads it, which takes no warning."""
    if not hasattr(x, "shape") or backend_of(x).eager():
        warnings.warn(text, category, stacklevel=stacklevel + 1)


def _public(module: str) -> str:
    """The module that offers what one inside of it defines."""
    parts = module.split(".")
    return module if "v1" in parts else ".".join(parts[:3])


def _renamed(text: str, function: str, names: Mapping[str, str]) -> str:
    text = re.sub(r"^xentropy[\w.]*:", f"{function}:", text)

    def name(found: re.Match[str]) -> str:
        return found[1] + names.get(found[2], found[2]) + found[3]

    text = re.sub(r"(`)(\w+)(`)", name, text)
    return re.sub(r"(^  )(\w+)(:)", name, text, flags=re.MULTILINE)


def _theirs(kinds: Kinds, error: XentropyError) -> type[Exception]:
    return next((kind for ours, kind in kinds.items() if isinstance(error, ours)), Exception)


@functools.cache
def _both(ours: type[XentropyError], theirs: type[Exception]) -> type[XentropyError]:
    """An error of the library that is one of theirs as well."""
    if issubclass(ours, theirs):
        return ours
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__})
