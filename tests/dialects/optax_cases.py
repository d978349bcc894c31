"""Calls of the dialect optax, its originals, and the truth."""

from __future__ import annotations

from typing import Any

from tests.dialects.case import Case

VERSION = ""
CASES: list[Case] = []


def ORIGINALS() -> dict[str, Any]:
    """The functions and classes of the original."""
    return {}


def original(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """What the original makes of a case."""
    raise AssertionError


def truth(case: Case) -> tuple[Any, tuple[Any, ...]]:
    """The same, in more digits."""
    raise AssertionError
