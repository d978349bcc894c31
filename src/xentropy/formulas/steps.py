"""Steps around a loss that are no loss themselves."""

from __future__ import annotations

from typing import Any

from xentropy._types import Namespace

from .formula import Formula

__all__ = ["linear", "product"]


def _product(xp: Namespace, *, x: Any, factor: Any, dtype: str) -> Any:
    return x * factor


def _product_partials(
    xp: Namespace, wrt: tuple[str, ...], *, x: Any, factor: Any, dtype: str
) -> dict[str, Any]:
    found = {"x": factor, "factor": x}
    return {name: found[name] for name in wrt}


product = Formula(
    "product", {"x": "elements", "factor": "elements"}, "none", _product, _product_partials
)


def _missing(*arrays: Any, **options: Any) -> Any:
    raise AssertionError("a linear step is recorded with its transpose")  # noqa: EM101


linear = Formula("linear", {"x": "elements"}, "none", _missing, _missing)
"""Stands on the tape for what is computed elsewhere."""
