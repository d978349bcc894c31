"""``python -m xentropy.parity`` is the console script ``xentropy``."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
