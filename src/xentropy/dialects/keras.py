"""The losses of keras."""

from __future__ import annotations

__all__: list[str] = []
