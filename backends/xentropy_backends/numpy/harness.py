"""NumPy as tests see it."""

from __future__ import annotations

from xentropy.testing.harness import Harness

__all__ = ["harness"]

harness = Harness("numpy")
