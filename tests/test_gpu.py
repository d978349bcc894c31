"""All cells and cases again on the accelerators at hand: ``pytest -m gpu --backends torch``.

With ``--device cpu`` they run there, which tries the tests themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_case
from tests.cases import CASES, Case, need_dtype
from tests.matrix import ENTRIES, Entry
from tests.test_accelerated import LOSSES, sizes
from tests.test_matrix import ALL, assert_cell, cells
from xentropy.parity.oracle import Truth
from xentropy.testing import Harness, load_harness

pytestmark = pytest.mark.gpu


def devices(config: pytest.Config) -> list[str]:
    name, chosen = str(config.getoption("--backends")), config.getoption("--device")
    if name == "none":
        return []
    return [str(chosen)] if chosen else load_harness(name).accelerators()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", devices(metafunc.config))
    if "cell" in metafunc.fixturenames:
        found = cells(str(metafunc.config.getoption("--backends")))
        metafunc.parametrize("cell", found, ids=lambda cell: f"{cell[0]}: {cell[1]}")


@pytest.fixture(autouse=True)
def _there(harness: Harness, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "device", device)
    has_float64 = harness.float64 and device not in harness.narrow_devices
    monkeypatch.setattr(harness, "float64", has_float64)


@dataclass(frozen=True, eq=False, repr=False)
class _Absolute(Case):
    """In ulp of max(1, |logsumexp|), as accurate as a framework's own softmax is."""

    def truth(self, dtype: str, **replaced: Any) -> Truth:
        truth, size = super().truth(dtype, **replaced), sizes(self, dtype)
        axis = self.options.get("axis", -1)
        scales = {k: v + (size if k == self.first else 0) for k, v in truth.grad_scales.items()}
        value_scale = truth.value_scale + np.squeeze(size, axis)
        return replace(truth, value_scale=value_scale, grad_scales=scales)


def on_accelerators(harness: Harness, case: Case) -> Case:
    """The case to the bounds that hold there, where the framework's own softmax runs."""
    if case.loss not in LOSSES or harness.accelerator() is None:
        return case
    given = (case.name, case.loss, case.arrays, case.options, case.wrt, case.dtypes)
    return _Absolute(*given)


@pytest.mark.parametrize("entry", ALL, ids=str)
def test_cell(harness: Harness, device: str, cell: tuple[str, str], entry: Entry) -> None:
    moved = Entry(entry.name, on_accelerators(harness, entry.case), entry.call)
    assert_cell(harness, cell, moved if type(entry.case) is Case else entry)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_values_and_gradients(harness: Harness, device: str, case: Case, dtype: str) -> None:
    if dtype not in case.dtypes:
        pytest.skip("not a dtype of the case")
    need_dtype(harness, dtype)
    case = on_accelerators(harness, case)
    value, grads = case.value_and_grads(harness, dtype)
    assert_case(case, dtype, harness.numpy(value), {k: harness.numpy(g) for k, g in grads.items()})


def test_results_stay_there(harness: Harness, device: str) -> None:
    x = harness.array(np.zeros((2, 3), np.float32))
    for entry in ENTRIES["cross_entropy"]:
        backend = xentropy.backend_of(x)
        given = entry.case.give(harness, "float32")
        result = entry.function(*given.values())
        assert backend.device(result) == backend.device(x)
