"""The losses of optax."""

from __future__ import annotations

__all__: list[str] = []
