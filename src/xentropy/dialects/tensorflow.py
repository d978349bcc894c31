"""The losses of tensorflow."""

from __future__ import annotations

__all__: list[str] = []
