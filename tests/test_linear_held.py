"""Logits of a linear head that wait for the gradients, where `max_memory` has room for them.

Everywhere but in graphs of TensorFlow and compiled code of PyTorch, which compute them again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any
from unittest import mock

import numpy as np
import pytest

import xentropy
from tests.asserts import assert_close
from tests.cases import rng
from xentropy.kernels import tiles
from xentropy.testing import COLUMNS, Harness

ROWS, FEATURES, CLASSES = 25, 8, 4 * tiles.LEAST + 30
ENOUGH = tiles.PARTS * 4 * 16 * tiles.LEAST  # two tiles of rows, five blocks of classes
BLOCK, ALL = 4 * ROWS * tiles.LEAST, ENOUGH + 4 * ROWS * CLASSES
MEMORIES = [ENOUGH, ENOUGH + BLOCK, ENOUGH + 3 * BLOCK, ALL, 2 * ALL]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "softcap": {"softcap": 3.0},
    "left out": {"ignore_index": 3, "label_smoothing": 0.1},
}
WRT = [("hidden",), ("weight",), ("hidden", "weight")]


@pytest.fixture(autouse=True, scope="module")
def _small(harness: Harness) -> Iterator[None]:
    """Tiles, and the least that kernels are called for, of the size of the tests."""
    if xentropy.backend_of(harness.array(np.zeros(1))).kernels() == ["formulas"]:
        pytest.skip("its rows come in blocks, by formulas, which hold no logits")
    called = harness.called_kernels() or nullcontext()
    with called, mock.patch.multiple(tiles, ENOUGH=ENOUGH, ROWS=16):
        yield


@pytest.fixture
def products() -> Iterator[list[int]]:
    """The multiplications of each matrix product of the kernels."""
    found: list[int] = []
    matmul = np.matmul

    def noted(a: Any, b: Any, **options: Any) -> Any:
        found.append(a.shape[0] * a.shape[1] * b.shape[1])
        return matmul(a, b, **options)

    with mock.patch.object(np, "matmul", noted):
        yield found


def arrays(harness: Harness, features: int = FEATURES) -> tuple[Any, ...]:
    r = rng("logits that wait")
    hidden, weight = (r.normal(size=(n, features)).astype("f") for n in (ROWS, CLASSES))
    return tuple(map(harness.array, (hidden, weight, np.arange(ROWS) * 7 % CLASSES)))


@pytest.mark.parametrize("wrt", WRT, ids="+".join)
def test_a_product_is_saved(harness: Harness, products: list[int], wrt: tuple[str, ...]) -> None:
    grad = xentropy.value_and_grad(xentropy.linear_cross_entropy, wrt)
    counts = []
    for most in (ENOUGH, ALL):
        products.clear()
        _, found = grad(*arrays(harness), reduction="sum", max_memory=most)
        assert all(np.isfinite(harness.numpy(x)).all() for x in found)
        counts.append(sum(products))
    assert counts[1] == (1 + len(wrt)) * ROWS * CLASSES * FEATURES < counts[0]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("features", [FEATURES, 48])
@pytest.mark.parametrize("wrt", WRT[1:], ids="+".join)
def test_what_waits_is_what_would_be_computed(
    harness: Harness, wrt: tuple[str, ...], features: int, options: str
) -> None:
    """To the last bit: of no, some and all of five blocks of classes, of two tiles of rows each."""
    grad = xentropy.value_and_grad(xentropy.linear_cross_entropy, wrt)
    found = []
    for most in MEMORIES:
        given = {**OPTIONS[options], "reduction": "mean", "max_memory": most}
        value, slopes = grad(*arrays(harness, features), **given)
        found.append([harness.numpy(x) for x in (value, *slopes)])
    for others in found[1:]:
        for a, b in zip(others, found[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("way", ["eager", "jit"])
@pytest.mark.parametrize("derived", [name for name in COLUMNS if name != "hessian"])
def test_no_transformation_sees_it(harness: Harness, way: str, derived: str) -> None:
    make = harness.ways.get(way, {}).get(derived)
    if make is None:
        pytest.skip(f"no such way: `Harness.ways` has no {way!r} with {derived!r}")
    hidden, weight, labels = arrays(harness)
    given = [hidden, labels]
    if derived.startswith("vmap"):
        given = [harness.array(np.stack([harness.numpy(x)] * 2)) for x in given]
    elif derived == "jvp":
        given = [hidden, *given]
    found = []
    for most in (ENOUGH, ALL):

        def f(x: Any, y: Any, most: int = most) -> Any:
            return xentropy.linear_cross_entropy(x, weight, y, max_memory=most)

        found.append(make(f)(*given))
    # Blocks of rows, of which some are made, are of other lengths.
    assert_close(harness, found[1], found[0], 16)
