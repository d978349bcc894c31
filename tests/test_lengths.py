"""What is compiled once for batches of any length, as each framework knows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
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


# --- what only another argument knows ---------------------------------------------------------

INDEX, SHARES, WEIGHT = [2, 0], np.full((2, 3), 1 / 3, np.float32), np.eye(3, dtype=np.float32)
KNOWING: dict[str, Any] = {
    "index": lambda x: xentropy.sparse_softmax_cross_entropy(x, INDEX),
    "ignored": lambda x: xentropy.cross_entropy(x, INDEX, ignore_index=0, where=[True, False]),
    "dense": lambda x: xentropy.softmax_cross_entropy(x, SHARES, label_smoothing=0.1),
    "last axis": lambda x: xentropy.kl_divergence(x, SHARES, sample_weight=[1.0, 2.0, 3.0], axis=0),
    "focal": lambda x: xentropy.softmax_focal_cross_entropy(x, INDEX),
    "poly": lambda x: xentropy.poly_cross_entropy(x, INDEX),
    "elements": lambda x: xentropy.squared_error(x, 0.0, sample_weight=SHARES),
    "normalized": lambda x: xentropy.log_softmax(x, where=SHARES > 0),
    "statistics": lambda x: xentropy.softmax_statistics(x, INDEX, outputs=("log_prob", "rank")),
    "linear": lambda x: xentropy.linear_cross_entropy(x, WEIGHT, INDEX),
    "linear dense": lambda x: xentropy.linear_cross_entropy(x, WEIGHT, SHARES),
    "linear statistics": lambda x: xentropy.linear_softmax_statistics(
        x, WEIGHT, INDEX, outputs=("log_prob", "rank")
    ),
}


@pytest.mark.parametrize("name", KNOWING)
def test_a_length_that_another_argument_knows(tf: Any, harness: Harness, name: str) -> None:
    """It is that of the results in a graph."""
    f, x = KNOWING[name], tf.constant(WEIGHT[:2])
    graph = tf.function(f).get_concrete_function(tf.TensorSpec((None, 3)))
    found, expected = tf.nest.flatten(graph(x)), tf.nest.flatten(f(x))
    assert [t.shape for t in tf.nest.flatten(graph.structured_outputs)] == [
        t.shape for t in expected
    ]
    for ours, eager in zip(found, expected, strict=True):
        assert_close(harness, ours, eager)


def test_a_length_is_what_another_argument_knows(tf: Any) -> None:
    """Else the graph tells."""
    graph = tf.function(KNOWING["index"]).get_concrete_function(tf.TensorSpec((None, 3)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="3"):
        graph(tf.constant(WEIGHT))
