"""Every public loss, and all that can be derived of it, in every way that a framework runs it."""

from __future__ import annotations

import logging
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.conftest import raised_by
from tests.matrix import COLUMN_TESTS, ENTRIES, Entry, dtype_of
from xentropy.testing import COLUMNS, Harness, load_harness

ALL = [entry for entries in ENTRIES.values() for entry in entries]
ROOMS = Path(__file__).resolve().parent.parent / "backends" / "xentropy_backends"
NO_LOSSES = {"Mean", "backend_of", "register_backend", "strict", "value_and_grad"}


def cells(name: str) -> list[tuple[str, str]]:
    """The ways of the framework, each with what it derives."""
    ways = {} if name == "none" else load_harness(name).ways
    return [(way, column) for way, columns in ways.items() for column in columns]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cell" in metafunc.fixturenames:
        found = cells(str(metafunc.config.getoption("--backends")))
        metafunc.parametrize("cell", found, ids=lambda cell: f"{cell[0]}: {cell[1]}")


# By module, so that all cells of an entry follow each other, and share what is made of it.
@pytest.mark.parametrize("entry", ALL, ids=str, scope="module")
def test_cell(
    harness: Harness, cell: tuple[str, str], entry: Entry, caplog: pytest.LogCaptureFixture
) -> None:
    assert_cell(harness, cell, entry)
    # Frameworks log much of what they warn of.
    logged = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert [text for text in logged if not harness.is_of_tests(text)] == []


def assert_cell(harness: Harness, cell: tuple[str, str], entry: Entry) -> None:
    """Within the bounds; a second call, of other numbers, compiles nothing."""
    way, column = cell
    dtype = dtype_of(harness, way, column)
    run = harness.ways[way][column](entry.function)
    assert_column = COLUMN_TESTS[column]
    assert_column(harness, run, entry, dtype)
    with harness.compiles_nothing():
        assert_column(harness, run, entry.moved, dtype)


def test_a_cell_is_there_or_told_of(harness: Harness) -> None:
    """What a framework cannot do has a reason, which the docs show."""
    room = ROOMS / ("array_api" if str(harness) == "array_api_strict" else str(harness))
    told = tomllib.loads((room / "support.toml").read_text(encoding="utf-8"))
    absent = {(each["way"], c) for each in told.get("absent", []) for c in each["columns"]}
    there = {(way, column) for way, columns in harness.ways.items() for column in columns}
    assert list(harness.ways) == told["ways"]
    assert not absent & there
    assert absent | there == {(way, column) for way in harness.ways for column in COLUMNS}
    assert all(each["reason"] and each["link"] for each in told.get("absent", []))


def test_every_public_loss_has_a_row() -> None:
    public = {name for name in xentropy.__all__ if not name.endswith("Error")}
    assert set(ENTRIES) == public - NO_LOSSES


def test_a_known_failure_is_that_one() -> None:
    """Another exception, or the same that says something else, fails."""
    known = raised_by({"raises": "xentropy.errors.ShapeError", "says": "(2, 3)"})
    assert known is not None
    assert known.matches(xentropy.ShapeError("must be (2, 3)."))
    assert not known.matches(xentropy.ShapeError("must be 2 or 3."))
    assert not known.matches(ValueError("must be (2, 3)."))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_fault_would_be_seen(column: str) -> None:
    """A result that is off by a hundredth of a millionth of its largest number, in float64."""
    harness = load_harness("numpy")
    entry = ENTRIES["sparse_softmax_cross_entropy"][0]
    truth = entry.truth(column, "float64")
    if column in ("value", "gradient"):
        truth = truth.value if column == "value" else truth.grads["logits"]
    elif column.startswith("vmap"):
        each = [t for _, t in truth]
        truth = np.stack([t.value if column == "vmap" else t.grads["logits"] for t in each])

    def run(*arrays: Any, factor: float = 1.0) -> Any:
        found = np.asarray(truth, np.float64)
        if column == "jvp":
            found = np.sum(found * arrays[0], axis=(-2, -1))
        return factor * found

    COLUMN_TESTS[column](harness, run, entry, "float64")
    with pytest.raises(AssertionError, match="ulp, at most"):
        COLUMN_TESTS[column](harness, lambda *a: run(*a, factor=1 + 1e-8), entry, "float64")
