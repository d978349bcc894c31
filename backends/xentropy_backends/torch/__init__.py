"""The adapter for torch."""
