"""Losses that PyTorch computes again for their gradients, instead of keeping what these need."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.matrix import ENTRIES, Entry
from xentropy.testing import load_harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]

FIRST = """
import torch, xentropy
from torch.utils.checkpoint import checkpoint
x = torch.tensor([[1.0, 2.0, 0.5]], requires_grad=True)
checkpoint(lambda x: xentropy.{loss}, x, use_reentrant=False).sum().backward()
assert x.grad.isfinite().all()
"""


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_gradients_are_the_same(
    torch: Any, entry: Entry, reentrant: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not that which other tests of the process have made up.
    kind = importlib.import_module("torch.utils.checkpoint").DefaultDeviceType
    monkeypatch.setattr(kind, "_default_device_type", "cpu")
    harness = load_harness("torch")
    arrays = list(entry.case.give(harness, "float32").values())
    x = arrays[0].requires_grad_()
    found: list[Any] = []
    for run in (entry.function, checkpointed(torch, entry.function, reentrant)):
        run(*arrays).sum().backward()
        found.append(harness.numpy(x.grad).copy())
        x.grad = None
    np.testing.assert_array_equal(*found)


def checkpointed(torch: Any, f: Any, reentrant: bool) -> Any:
    from torch.utils.checkpoint import checkpoint

    return lambda *arrays: checkpoint(f, *arrays, use_reentrant=reentrant)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    "loss", ["cross_entropy(x, torch.tensor([1]))", "linear_cross_entropy(x, x, [0])"]
)
def test_the_first_call_of_a_process(loss: str) -> None:
    """It keeps what a second would: the numbers of tensors are compared."""
    command = [sys.executable, "-c", FIRST.format(loss=loss)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
