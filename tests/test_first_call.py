"""A compiler may be the first to see an array, in a process where nothing has been called yet."""

from __future__ import annotations

import subprocess
import sys

import pytest

from xentropy.testing import Harness

FIRST = """
import numpy as np
import xentropy
from xentropy.testing import load_harness

harness = load_harness({name!r})
x = harness.array(np.array([[1.0, 2.0, 0.5]], np.float32))
run = harness.ways[{way!r}]["hessian"](lambda x: xentropy.{loss})
assert np.isfinite(harness.numpy(run(x))).all()
"""


@pytest.mark.parametrize("loss", ["logsumexp(x)", "linear_cross_entropy(x, x, [0])"])
def test_inside_of_torch_compile(harness: Harness, loss: str) -> None:
    way = "torch.compile of torch.func"
    if way not in harness.ways:
        pytest.skip("the framework has no such compiler")
    script = FIRST.format(name=str(harness), way=way, loss=loss)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
