"""The adapter for numpy."""
