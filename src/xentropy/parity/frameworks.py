"""Which frameworks are installed, found without importing any."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass

from xentropy.dispatch import installed_backends

__all__ = ["KNOWN", "Framework", "find", "others"]

KNOWN = {
    "jax": ("jax",),
    "torch": ("torch",),
    "tensorflow": ("tensorflow", "tensorflow-cpu", "tensorflow-macos", "tf-nightly"),
    "numpy": ("numpy",),
    "array_api_strict": ("array-api-strict",),
}
"""Module to the distributions that may bring it; in the order of running, the slow ones first."""
_ON_REQUEST = ("array_api_strict",)


@dataclass(frozen=True)
class Framework:
    """A framework and its version, None where it is not installed."""

    name: str
    version: str | None

    @property
    def by_default(self) -> bool:
        """Return whether it runs unless others are named."""
        return self.version is not None and self.name not in _ON_REQUEST


def _version(name: str) -> str | None:
    try:
        if importlib.util.find_spec(name) is None:
            return None
    except (ImportError, ValueError):
        return None
    for distribution in KNOWN.get(name, (name,)):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def find() -> dict[str, Framework]:
    """Return all known frameworks by name."""
    return {name: Framework(name, _version(name)) for name in KNOWN}


def others() -> dict[str, Framework]:
    """Return those that other distributions, or this program, brought an adapter for."""
    names = installed_backends().keys() - {*KNOWN, "array_api"}
    return {name: Framework(name, _version(name)) for name in sorted(names)}
