"""What tf.compat.v1 has of its own."""

from __future__ import annotations

from . import losses

__all__ = ["losses"]
