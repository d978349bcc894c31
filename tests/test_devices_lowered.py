"""What a program for a device that is not at hand asks of the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.matrix import ENTRIES, Entry
from xentropy.testing import Harness, load_harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]
HOST = re.compile("callback|xentropy_kernel")


@pytest.fixture(scope="module")
def called_kernels(request: pytest.FixtureRequest) -> Iterator[None]:
    """Kernels for the smallest arrays, wherever compiled code would call them."""
    context = load_harness(str(request.config.getoption("--backends"))).called_kernels()
    with context or nullcontext():
        yield


@pytest.mark.usefixtures("called_kernels")
@pytest.mark.parametrize("column", ["value", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_a_program_needs_no_host(harness: Harness, entry: Entry, column: str) -> None:
    """That of a loss, or of its gradient, for another platform: it calls nothing of ours."""
    if column not in harness.ways["eager"]:
        pytest.skip(f"{harness} has no derivatives of its own")
    given = tuple(entry.case.give(harness, "float32").values())
    programs = harness.lowered(harness.ways["eager"][column](entry.function), given)
    if not programs:
        pytest.skip("see Harness.lowered")
    found = {name: text for name, text in programs.items() if HOST.search(text)}
    assert found == {}


def test_gradients_of_a_head_need_no_cpu(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the CPU is switched off, JAX knows no such platform; nothing asks for it in vain."""
    if str(harness) != "jax":
        pytest.skip("of JAX")
    jax, kernels = (pytest.importorskip(n) for n in ("jax", "xentropy_backends.jax.kernels"))
    devices = jax.devices

    def others(platform: str | None = None) -> Any:
        if platform == "cpu":
            msg = "Unknown backend cpu"
            raise RuntimeError(msg)
        return devices(platform)

    monkeypatch.setattr(jax, "devices", others)
    kernels.count_cpus.cache_clear()
    arrays: Any = [harness.array(np.ones(shape, np.float32)) for shape in ((256, 8), (64, 8))]
    labels = harness.array(np.zeros(256, np.int64))
    try:
        grad: Any = xentropy.value_and_grad(xentropy.linear_cross_entropy, ("hidden", "weight"))
        value, slopes = grad(*arrays, labels, reduction="mean")
    finally:
        kernels.count_cpus.cache_clear()
    assert abs(harness.numpy(value) - np.log(64)) < 1e-5
    assert [harness.numpy(x).shape for x in slopes] == [(256, 8), (64, 8)]
