"""The command line as a test runs it, and workers with planted faults."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from xentropy.parity.commands import run

__all__ = [
    "BAD_INPUT",
    "BEYOND",
    "BLOCK",
    "BLOCKED",
    "FAULT",
    "PASSED",
    "bench",
    "example",
    "parity",
    "save",
    "ulps_off",
]

PASSED, BEYOND, BAD_INPUT = 0, 1, 2
BLOCKED = ("jax", "jaxlib", "ml_dtypes", "optax", "scipy", "sklearn", "tensorflow", "torch")
BLOCK = f"""
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
"""
FAULT = """
import sys
import numpy as np
from xentropy.parity import worker
ours = worker._Call.ours
def off(self, mode):
    found = ours(self, mode)
    if {what!r} in found:
        x = found[{what!r}]
        found[{what!r}] = {change}
    return found
worker._Call.ours = off
worker.main(sys.argv[1:])
"""
"""A worker that changes what the library returns."""


def ulps_off(count: int) -> str:
    return f"x * np.float32(1 + {count} * 2.0**-23)"


class Ran(NamedTuple):
    status: int
    out: str
    err: str


def _run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    status = run([*map(str, arguments)])
    out, err = capsys.readouterr()
    return Ran(status, str(out), str(err))


def parity(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    return _run(capsys, "parity", *arguments)


def bench(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Ran:
    return _run(capsys, "bench", *arguments)


def save(folder: Path, **arrays: Any) -> dict[str, Path]:
    paths = {}
    for name, array in arrays.items():
        paths[name] = folder / f"{name}.npy"
        np.save(paths[name], np.asarray(array))
    return paths


def example(folder: Path) -> dict[str, Path]:
    """Save two rows of logits and some labels, of which not all fit."""
    logits = np.array([[2, 0.5, 6], [0.1, 0, 3]], np.float32)
    return save(folder, logits=logits, labels=[2, 1], wrong=[2, 3], three=[0, 1, 2])
