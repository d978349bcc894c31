"""What is moved to a device, and what a program for one that is not at hand asks of the host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import Case, named
from tests.matrix import ENTRIES, Entry
from xentropy import Mean
from xentropy.testing import Harness, load_harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]
HOST = re.compile("callback|xentropy_kernel")


def no_transfers(harness: Harness) -> AbstractContextManager[Any]:
    guard = harness.no_transfers()
    return pytest.skip("see Harness.no_transfers") if guard is None else guard


@pytest.mark.parametrize("column", ["value", "jvp", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_nothing_is_moved(harness: Harness, mode: str, entry: Entry, column: str) -> None:
    """Of arrays on the device; numbers are constants of a program, or are put there explicitly."""
    guard = no_transfers(harness)
    given = tuple(entry.case.give(harness, "float32").values())
    run = harness.modes[mode](harness.ways["eager"][column](entry.function))
    with guard:
        found = run(*(given[:1] if column == "jvp" else ()), *given)
    assert np.isfinite(harness.numpy(found)).all()


@pytest.mark.parametrize("reduction", ["sum", "mean", "partial"])
@pytest.mark.parametrize(
    "case", named("softmax ignore 5", "softmax index everything", "sigmoid everything"), ids=str
)
def test_nothing_is_moved_by_a_reduction(harness: Harness, case: Case, reduction: Any) -> None:
    guard, run = no_transfers(harness), case.function(reduction=reduction)
    given = case.give(harness, "float32").values()
    with guard:
        found = run(*given)
    assert np.isfinite(harness.numpy(found[0] if reduction == "partial" else found))


@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "partial"])
def test_nothing_is_moved_by_a_gradient(harness: Harness, reduction: Any) -> None:
    guard, (case,) = no_transfers(harness), named("softmax ignore 5")
    grad = xentropy.value_and_grad(getattr(xentropy, case.loss), case.wrt)
    given = case.give(harness, "float32")
    with guard:
        _, slopes = grad(**given, **case.options, reduction=reduction)
    assert all(np.isfinite(harness.numpy(x)).all() for x in slopes)


@pytest.mark.parametrize("result", ["value", "perplexity"])
def test_nothing_is_moved_by_a_mean(harness: Harness, mode: str, result: str) -> None:
    """Of parts that are added up one by one, at once, and by axis, one of them of numbers."""
    guard, run = no_transfers(harness), harness.modes[mode]
    (case,) = named("softmax ignore 5")
    f, given = case.function(reduction="partial"), tuple(case.give(harness, "float32").values())
    with guard:

        def total(*arrays: Any) -> Any:
            part = f(*arrays)
            return getattr(Mean.sum([part, sum([part, part]), Mean(0.0, 0)]).sum(), result)()

        found, part = run(total)(*given), run(f)(*given)
        want = getattr(part, result)()
    np.testing.assert_allclose(harness.numpy(found), harness.numpy(want), rtol=1e-6)


def test_a_transfer_would_be_seen(harness: Harness) -> None:
    with no_transfers(harness), pytest.raises(RuntimeError, match="transfer"):
        harness.array(np.ones(2, np.float32))


# --- programs ---------------------------------------------------------------------------------


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
    arrays = [harness.array(np.ones(shape, np.float32)) for shape in ((256, 8), (64, 8))]
    labels = harness.array(np.zeros(256, np.int64))
    try:
        grad = xentropy.value_and_grad(xentropy.linear_cross_entropy, ("hidden", "weight"))
        value, slopes = grad(*arrays, labels, reduction="mean")
    finally:
        kernels.count_cpus.cache_clear()
    assert abs(harness.numpy(value) - np.log(64)) < 1e-5
    assert [harness.numpy(x).shape for x in slopes] == [(256, 8), (64, 8)]
