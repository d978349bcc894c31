"""The losses of other libraries, by their own signatures, on any framework's arrays.

A dialect translates the arguments and calls the core. What it returns where the original is
silently wrong stands in the ledger, `xentropy.dialects.ledger`.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["DIALECTS"]

DIALECTS = ("torch", "tensorflow", "keras", "optax", "sklearn")
"""The modules: ``from xentropy.dialects import torch as F``."""


def __getattr__(name: str) -> Any:
    if name in DIALECTS:
        return importlib.import_module(f"{__name__}.{name}")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
