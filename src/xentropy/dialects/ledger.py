"""Where an original is silently wrong or leaves open what it returns, and what we return."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

__all__ = ["Entry", "entries"]


@dataclass(frozen=True)
class Entry:
    """One difference.

    Attributes
    ----------
    dialect, function
        Whose, as ``torch`` and ``cross_entropy``.
    version
        Of the original in which it was seen.
    condition
        When it happens.
    original, ours
        What it returns, and what we return, in words.
    link
        Where the original documents what it promises, or its issue.
    args, options, wrt
        A call that shows it. An array is ``{"dtype": …, "data": …}``.
    call
        Of a class, whose arguments are ``options``: the keyword arguments of the call.
    original_value, our_value, original_gradient, our_gradient
        What the call gives, and its gradients by the arguments ``wrt``; an error by its name.
    """

    dialect: str
    function: str
    version: str
    condition: str
    original: str
    ours: str
    link: str
    args: list[Any]
    original_value: Any
    our_value: Any
    options: dict[str, Any]
    wrt: list[int]
    original_gradient: Any = None
    our_gradient: Any = None
    call: dict[str, Any] | None = None

    def __str__(self) -> str:
        return f"{self.dialect}.{self.function}: {self.condition}"


def entries(dialect: str) -> list[Entry]:
    """Return the differences of one dialect, in the order of its functions."""
    file = resources.files("xentropy.dialects") / "ledgers" / f"{dialect}.toml"
    found = tomllib.loads(file.read_text(encoding="utf-8"))
    return [
        Entry(**{"options": {}, "wrt": [0], **entry, "dialect": dialect})
        for entry in found.get("entry", [])
    ]
