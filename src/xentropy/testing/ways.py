"""What the ways are made of in which a framework runs a function; see `Harness.ways`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from .harness import Run

__all__ = ["Derive", "joined", "then", "through"]

Derive: TypeAlias = Callable[[Run], Run]
"""Makes of a function what is derived of it, or the same run in another way."""


def through(first: Derive, derived: Mapping[str, Derive]) -> dict[str, Derive]:
    """What is derived of a function that went through something first."""
    return {name: joined(first, each) for name, each in derived.items()}


def then(derived: Mapping[str, Derive], last: Derive) -> dict[str, Derive]:
    """What is derived of a function, which goes through something then."""
    return {name: joined(each, last) for name, each in derived.items()}


def joined(first: Derive, last: Derive) -> Derive:
    """One after the other."""
    return lambda f: last(first(f))
