"""The linear head on NumPy: what it multiplies, and the memory that it takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests.cases import Array, rng, single
from xentropy.formulas.linear import Head, Layer, Operands
from xentropy.formulas.softmax import cross_entropy_index
from xentropy.kernels import linear, pool, tiles

ROWS, CLASSES, FEATURES = 40, 30, 8


def operands(
    rows: int = ROWS, classes: int = CLASSES, features: int = FEATURES, dtype: str = "float32"
) -> dict[str, Array]:
    r = rng("linear kernels")
    return {
        "hidden": r.normal(size=(rows, features)).astype(dtype),
        "weight": r.normal(size=(classes, features)).astype(dtype),
        "labels": r.integers(0, classes, rows),
    }


@pytest.fixture
def products() -> Iterator[list[tuple[tuple[int, ...], tuple[int, ...]]]]:
    """The shapes of the factors of the matrix products."""
    found: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    matmul = np.matmul

    def noted(a: Array, b: Array, **options: Any) -> Any:
        found.append((a.shape, b.shape))
        return matmul(a, b, **options)

    with mock.patch.object(np, "matmul", noted):
        yield found


def flops(products: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> int:
    return sum(a[0] * a[1] * b[1] for a, b in products)


ONE = ROWS * CLASSES * FEATURES
WANTED = {
    # What is differentiated by, and how many products of the whole it takes.
    (): 1,
    ("hidden",): 3,
    ("weight",): 3,
    ("hidden", "weight"): 4,
}


@pytest.mark.parametrize("max_memory", [2**26, 1], ids=["whole", "tiles"])
@pytest.mark.parametrize("wrt", WANTED)
def test_a_frozen_argument_costs_no_product(
    products: list[Any], wrt: tuple[str, ...], max_memory: int
) -> None:
    given: Any = {**operands(), "max_memory": max_memory}
    if wrt:
        xentropy.value_and_grad(xentropy.linear_cross_entropy, wrt)(**given)
    else:
        xentropy.linear_cross_entropy(**given)
    assert flops(products) == WANTED[wrt] * ONE


LEFT_OUT: dict[str, dict[str, Any]] = {
    "ignore_index": {"ignore_index": -100},
    "where": {"where": np.arange(ROWS) % 4 == 0},
    "sample_weight": {"sample_weight": single(np.arange(ROWS) % 4 == 0)},
}


@pytest.mark.parametrize("max_memory", [2**26, 1], ids=["whole", "tiles"])
@pytest.mark.parametrize("out", LEFT_OUT)
def test_rows_left_out_cost_no_product(products: list[Any], out: str, max_memory: int) -> None:
    """A quarter of the rows, a quarter of the work, with the gradients."""
    given: Any = {**operands(), **LEFT_OUT[out], "max_memory": max_memory}
    if out == "ignore_index":
        given["labels"] = np.where(np.arange(ROWS) % 4, -100, given["labels"])
    grad = xentropy.value_and_grad(xentropy.linear_cross_entropy, ("hidden", "weight"))
    grad(**given, reduction="mean")
    assert flops(products) == ONE
    products.clear()
    given["where"] = np.zeros(ROWS, np.bool_)
    grad(**given, reduction="mean")
    assert products == []


def test_statistics_of_rows_left_out_cost_no_product(products: list[Any]) -> None:
    given: Any = {**operands(), "ignore_index": -100, "outputs": ("log_prob", "rank")}
    kept = np.arange(ROWS) % 4 == 0
    given["labels"] = np.where(kept, given["labels"], -100)
    found = xentropy.linear_softmax_statistics(**given)
    assert flops(products) == ONE // 4
    np.testing.assert_array_equal(found.rank == -1, ~kept)
    np.testing.assert_array_equal(found.log_prob == 0, ~kept)


def test_tiles_across_both_axes(products: list[Any]) -> None:
    """Tiles end within the rows and within the classes."""
    given: Any = operands(300, 200)
    given["max_memory"] = tiles.PARTS * 4 * tiles.LEAST * 16
    xentropy.linear_cross_entropy(**given)
    assert {a[0] for a, _ in products} == {16, 300 % 16}
    assert {b[1] for _, b in products} == {tiles.LEAST, 200 % tiles.LEAST}


def peak(given: dict[str, Any], wrt: tuple[str, ...]) -> int:
    """The most memory of NumPy that a call takes, with its results."""
    grad = xentropy.value_and_grad(xentropy.linear_cross_entropy, wrt)
    grad(**given, reduction="mean")
    tracemalloc.start()
    try:
        grad(**given, reduction="mean")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


A_ROW = 512
"""Bytes that a row takes besides: labels, sums and slopes."""


@pytest.mark.parametrize("enough", [2**20, 2**18], ids=["tiles", "tiles and what is held"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(("rows", "classes"), [(512, 4096), (4096, 512)])
def test_memory_is_bounded(
    monkeypatch: pytest.MonkeyPatch, rows: int, classes: int, dtype: str, enough: int
) -> None:
    """What was allowed, gradients in the compute dtype, and some numbers a row."""
    monkeypatch.setattr(tiles, "ENOUGH", enough)
    monkeypatch.setattr(pool, "LARGE", 2**62)  # Of its own memory tracemalloc does not know.
    given: dict[str, Any] = operands(rows, classes, 32, dtype)
    most = given["max_memory"] = 2**20
    found = peak(given, ("hidden", "weight"))
    wide = max(given["hidden"].itemsize, 4)
    features = rows * 32 * wide * 2
    weight = classes * 32 * given["weight"].itemsize
    assert found <= most + features + weight + rows * A_ROW
    assert found < rows * classes * wide


def test_memory_is_bounded_where_smoothing_differs_by_row() -> None:
    rows, classes = 1024, 2**14
    given: dict[str, Any] = {**operands(rows, classes, 8), "max_memory": 2**24}
    r = rng("masks of rows")
    given |= {
        "class_mask": r.random((rows, classes)) < 0.9,
        "class_weight": single(r.random(classes)),
    }
    given |= {"label_smoothing": 0.1, "softcap": 3.0}
    weight = classes * 8 * 4
    assert peak(given, ("hidden", "weight")) <= given["max_memory"] + weight + rows * A_ROW


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("memory", [2**20, 2**22])
@pytest.mark.parametrize(("rows", "classes", "features"), [(256, 2**14, 64), (8192, 64, 512)])
def test_memory_of_statistics_is_bounded(
    products: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    rows: int,
    classes: int,
    features: int,
    dtype: str,
    memory: int,
) -> None:
    """By what was allowed, of which three quarters are some rows; there is one product."""
    monkeypatch.setattr(pool, "LARGE", 2**62)
    given: dict[str, Any] = {**operands(rows, classes, features, dtype), "max_memory": memory}
    given["scale"] = 0.5
    outputs: Any = ("log_prob", "entropy", "rank", ("top_k", 3))
    xentropy.linear_softmax_statistics(**given, outputs=outputs)
    assert flops(products) == rows * classes * features
    wide = max(given["hidden"].itemsize, 4)
    assert max(a[0] for a, _ in products) == 3 * memory // 4 // (wide * (classes + features))
    tracemalloc.start()
    try:
        xentropy.linear_softmax_statistics(**given, outputs=outputs)
        assert memory / 2 < tracemalloc.get_traced_memory()[1] <= memory + rows * A_ROW
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_rows_or_classes() -> None:
    """Beyond the gradient itself; four times the logits each time."""
    wrt = ("weight",)
    found = {}
    for rows, classes in ((512, 2048), (2048, 2048), (512, 8192)):
        given: dict[str, Any] = {**operands(rows, classes, 16), "max_memory": 2**18}
        found[rows, classes] = peak(given, wrt) - given["weight"].nbytes
    first, more_rows, more_classes = found.values()
    assert more_classes <= first + 2**16
    assert more_rows <= first + 1536 * A_ROW


WEIGHT = (False, True, False)


def test_of_many_losses_one_holds_logits() -> None:
    """Each would take the memory of the gradient of the weight, which they share."""
    nothing: dict[str, Any] = dict.fromkeys(Operands._fields)
    given = Operands(**{**nothing, **operands(features=ROWS)})
    given = given._replace(labels=given.labels[:, None])
    head = Head(Layer(None, None, "float32", 2**26), cross_entropy_index, None, None)
    states = [linear.losses(head, given, wanted=WEIGHT)[1] for _ in range(3)]
    assert [len(state.held) for state in states] == [1, 0, 0]
    found = [linear.gradients(state, np.ones(ROWS), (True, True, False)) for state in states]
    for other in found[1:]:
        for a, b in zip(other[:2], found[0][:2], strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(linear.losses(head, given, wanted=WEIGHT)[1].held) == 1
