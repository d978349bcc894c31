"""What tests and the parity command need of a framework: its arrays and its transforms."""

from __future__ import annotations

from .harness import COLUMNS, Harness, load_harness

__all__ = ["COLUMNS", "Harness", "load_harness"]
