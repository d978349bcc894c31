"""The adapter for array_api."""
