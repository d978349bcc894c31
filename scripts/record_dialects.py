"""Write down what the originals of a dialect return, where they are installed: its name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.dialects import case, test_signatures

if __name__ == "__main__":
    for dialect in sys.argv[1:]:
        case.record(dialect)
        test_signatures.record(dialect)
