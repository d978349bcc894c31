"""What flags of the command line name, split and checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from . import frameworks
from .userdata import BadInputError

__all__ = ["backends", "split"]


def split(flag: str, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return what a flag names: it may be given again, and name several with commas."""
    parts = [part.strip() for text in given or () for part in text.split(",")]
    if given and not any(parts):  # an empty variable of a shell shall not mean all there is
        msg = f"{flag}: nothing is named"
        raise BadInputError(msg)
    return tuple(part for part in parts if part)


def backends(flag: str, given: Sequence[str] | None, allowed: Collection[str]) -> tuple[str, ...]:
    """Return the backends that a flag names, which are installed."""
    known, named = frameworks.find(), split(flag, given)
    for name in named:
        if name not in allowed:
            msg = f"{flag}: no backend {name!r} can run this; there are {', '.join(allowed)}"
            raise BadInputError(msg)
        if known[name].version is None:
            msg = f"{flag}: {name} is not installed"
            raise BadInputError(msg)
    return named
