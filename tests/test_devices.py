"""Devices that are not at hand: nothing is read from them, and no more memory is taken there."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import narrow
from tests.matrix import ENTRIES, Entry
from xentropy.testing import Harness, load_harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "place" in metafunc.fixturenames:
        name = str(metafunc.config.getoption("--backends"))
        metafunc.parametrize("place", [] if name == "none" else [*load_harness(name).places()])


@pytest.mark.parametrize("column", ["value", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_nothing_depends_on_the_numbers(
    harness: Harness, place: str, entry: Entry, column: str
) -> None:
    """Where there are none, a loss and its gradient have the shape, the dtype and the device."""
    if column not in harness.ways["eager"]:
        pytest.skip(f"{harness} has no derivatives of its own")
    run, inputs = harness.ways["eager"][column](entry.function), entry.case.inputs("float32")
    want = harness.numpy(run(*map(harness.array, inputs.values())))
    with harness.places()[place]() as make:
        first, *rest = map(make, inputs.values())
        got = run(first, *rest)
        backend = xentropy.backend_of(got)
        assert tuple(got.shape) == want.shape
        assert backend.dtype_name(got) == want.dtype.name
        assert backend.device(got) == backend.device(first)


@pytest.mark.parametrize("column", ["value", "gradient"])
@pytest.mark.parametrize("entry", ALL, ids=str)
def test_nothing_is_read(harness: Harness, entry: Entry, column: str) -> None:
    """On what passes for an accelerator: reading a number would wait for all that is under way."""
    unreadable, accelerator = harness.unreadable(), harness.accelerator()
    if unreadable is None or accelerator is None:
        pytest.skip(harness.reads)
    run = harness.ways["eager"][column](entry.function)
    given = tuple(entry.case.give(harness, "float32").values())
    with accelerator, unreadable:
        got = run(*given)
    assert np.isfinite(harness.numpy(got)).all()


def test_reading_would_be_seen(harness: Harness) -> None:
    unreadable = harness.unreadable()
    if unreadable is None:
        pytest.skip(harness.reads)
    x = harness.array(np.ones(()))
    with unreadable, pytest.raises(AssertionError, match="was read"):
        bool(x)


# --- memory on accelerators -------------------------------------------------------------------

ROWS, CLASSES = 64, 1000
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ignore_index": {"ignore_index": -100},
    "class_weight": {"class_weight": True},
    "label_smoothing": {"label_smoothing": 0.1},
    "all": {"ignore_index": -100, "class_weight": True, "label_smoothing": 0.1},
}


@pytest.mark.parametrize("reduction", ["none", "mean"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("labels", ["index", "dense"])
@pytest.mark.parametrize("name", OPTIONS)
def test_no_more_memory_than_the_own_loss_takes(
    harness: Harness, name: str, labels: str, dtype: str, reduction: Any
) -> None:
    """In arrays of the size of the logits, forward and backward."""
    place = harness.places().get("an accelerator")
    if place is None:
        pytest.skip("see Harness.places")
    module = importlib.import_module(f"xentropy_backends.{harness}.native")
    own, options = module.NATIVE["cross_entropy"], dict(OPTIONS[name])
    if labels == "dense":
        options.pop("ignore_index", None)
    ours = {**options, "reduction": reduction}
    with place() as make:
        x = make(narrow(np.zeros((ROWS, CLASSES)), dtype))
        y = make(
            np.zeros((ROWS, CLASSES), np.float32) if labels == "dense" else np.zeros(ROWS, int)
        )
        if "class_weight" in options:
            options["class_weight"] = ours["class_weight"] = make(np.ones(CLASSES, np.float32))

        def taken(f: Any, options: dict[str, Any]) -> int:
            run = harness.ways["eager"]["gradient"](lambda x: f(x, y, **options))
            with harness.allocations(ROWS * CLASSES) as found:
                run(x)
            assert found
            return sum(found)

        assert taken(xentropy.cross_entropy, ours) <= taken(own, options)
