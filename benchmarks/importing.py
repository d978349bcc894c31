"""What ``import xentropy`` takes on top of ``import numpy``, each time in a fresh process."""

from __future__ import annotations

import subprocess
import sys

from xentropy.bench.case import Ask, Case, Run
from xentropy.bench.processes import Measured, environment
from xentropy.bench.timing import Times

__all__ = ["CASE", "measure"]

CASE = Case("import xentropy after numpy", "numpy", (Run("import", "", ()),), Ask("ms", 40))

_CODE = """
import numpy, time
start = time.perf_counter()
import xentropy
print(time.perf_counter() - start)
"""


def measure(times: int) -> Measured:
    """Return the seconds of that many imports, after one that fills the caches."""
    command = [sys.executable, "-P", "-c", _CODE]
    found = []
    for _ in range(times + 1):
        done = subprocess.run(
            command, env=environment(), capture_output=True, text=True, check=True
        )
        found.append(float(done.stdout))
    return Measured(CASE, times=[Times(1, found[1:])], peaks=[None], missing=[""])
