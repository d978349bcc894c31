"""What is compiled once for batches of any length, as each framework knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import xentropy
from tests.cases import Case
from tests.matrix import COLUMN_TESTS, ENTRIES, Entry, Mean
from xentropy.testing import Harness, load_harness

ROWS = (4, 7, 2)
MEANS = (
    "sparse_softmax_cross_entropy",
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "binary_cross_entropy",
    "squared_error",
)


def entries() -> Iterator[Entry]:
    """Means, whose divisor is the length, and others."""
    for loss in MEANS:
        case = ENTRIES[loss][0].case
        plain = {k: x for k, x in case.arrays.items() if k != "where"}
        mean = Mean(f"mean of {loss}", loss, plain, case.options, wrt=case.wrt)
        yield Entry(mean.name, mean, partial(getattr(xentropy, loss), reduction="mean"))
    for loss in ("cross_entropy", "linear_cross_entropy", "mean_squared_error", "logsumexp"):
        yield ENTRIES[loss][0]


def of_length(entry: Entry, count: int) -> Entry:
    """As many rows, again and again those of an entry of two."""
    case: Case = entry.case
    arrays = {k: np.resize(x, (count, *x.shape[1:])) if len(x) == 2 else x
              for k, x in case.arrays.items()}  # fmt: skip
    return Entry(f"{entry} {count}", replace(case, arrays=arrays), entry.call)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    name = str(metafunc.config.getoption("--backends"))
    if "cell" in metafunc.fixturenames:
        lengths = {} if name == "none" else load_harness(name).lengths
        found = [(way, column) for way, columns in lengths.items() for column in columns]
        metafunc.parametrize("cell", found, ids=lambda cell: f"{cell[0]}: {cell[1]}")


@pytest.mark.parametrize("entry", list(entries()), ids=str)
def test_other_lengths_compile_nothing(
    harness: Harness, cell: tuple[str, str], entry: Entry
) -> None:
    way, column = cell
    run, assert_column = harness.lengths[way][column](entry.function), COLUMN_TESTS[column]
    assert_column(harness, run, entry, "float32")
    with nullcontext() if harness.compiles_lengths else harness.compiles_nothing():
        for count in ROWS:
            assert_column(harness, run, of_length(entry, count), "float32")
