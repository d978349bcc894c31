"""The console script ``xentropy``, which says so in one line where its extra is missing."""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRA = ("click", "mpmath", "rich", "typer")


def main() -> int:
    """Run the command line and return its exit status: 0, 1 beyond a bound, 2 on bad input."""
    try:
        from .commands import run
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(
            f'xentropy: {error.name} is not installed: it comes with the extra "parity"',
            file=sys.stderr,
        )
        return 2
    return run(sys.argv[1:])
