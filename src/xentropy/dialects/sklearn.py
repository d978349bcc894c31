"""The losses of sklearn."""

from __future__ import annotations

__all__: list[str] = []
