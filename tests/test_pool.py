"""Memory of results that serves again: nobody may see another's numbers, or wait for memory."""

from __future__ import annotations

import mmap
import multiprocessing
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import xentropy
from tests.cases import Array, rng
from xentropy.bench import memory
from xentropy.bench.timing import Timed
from xentropy.kernels import pool
from xentropy.testing import Harness

COUNT = pool.LARGE
ALLOCATORS = {"empty": pool.empty, "aligned": pool.aligned}


@pytest.fixture(autouse=True)
def _nothing_waits() -> Iterator[None]:
    pool.clear()
    yield
    pool.clear()


def start(x: Array) -> int:
    return int(x.__array_interface__["data"][0])


@pytest.fixture(params=ALLOCATORS)
def empty(request: pytest.FixtureRequest) -> Any:
    return ALLOCATORS[request.param]


def test_arrays_are_what_was_asked_for(empty: Any) -> None:
    for shape in [(), (3,), (0, 4), (COUNT,), (3, COUNT)]:
        for dtype in ("float16", "float32", "float64"):
            x = empty(shape, dtype)
            assert (x.shape, x.dtype) == (shape, np.dtype(dtype))
            assert x.flags.c_contiguous
            assert x.flags.writeable
            x[...] = 1
            assert x.sum(dtype=np.float64) == x.size


def test_it_begins_with_a_cache_line() -> None:
    assert [start(pool.aligned((n,), "float32")) % 64 for n in (1, 7, COUNT, COUNT + 1)] == [0] * 4


@pytest.mark.parametrize("count", [COUNT, pool.OFFERED], ids=["kept", "offered"])
def test_memory_serves_again(empty: Any, count: int) -> None:
    first = empty((count,), "float32")
    first[...] = 7
    where = start(first)
    del first
    again = empty((count // 2, 2), "float32")
    assert start(again) == where
    again[...] = 3
    assert (again == 3).all()


def test_it_waits_for_the_last_view(empty: Any) -> None:
    whole = empty((COUNT,), "float32")
    where, part = start(whole), whole[5:9].reshape(2, 2)
    part[...] = 7
    del whole
    other = empty((COUNT,), "float32")
    other[...] = 3
    assert start(other) != where
    assert (part == 7).all()


def test_two_results_never_share(empty: Any) -> None:
    held = [empty((COUNT,), "float32") for _ in range(6)]
    for i, x in enumerate(held):
        x[...] = i
    assert [x.min() for x in held] == [x.max() for x in held] == list(range(6))


def test_much_larger_memory_is_not_taken(empty: Any) -> None:
    large = empty((5 * COUNT,), "float32")
    where = start(large)
    del large
    assert start(empty((COUNT,), "float32")) != where


def test_little_waits(empty: Any) -> None:
    held = [empty((COUNT * i,), "float32") for i in range(1, 8)]
    held.clear()
    assert len(pool._waiting) == pool.MOST


NEEDED = ("mmap", "MAP_PRIVATE", "MAP_ANONYMOUS")


def test_where_the_system_knows_no_offer_nothing_large_waits(
    empty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = type("mmap", (), {name: getattr(mmap, name) for name in NEEDED})
    monkeypatch.setattr("xentropy.kernels.pool.mmap", known)
    large, small = empty((pool.OFFERED,), "float32"), empty((COUNT,), "float32")
    where = start(small)
    del large, small
    assert len(pool._waiting) == 1
    assert start(empty((COUNT,), "float32")) == where


def test_many_threads(empty: Any) -> None:
    wrong = []

    def work(number: int) -> None:
        for _ in range(30):
            x = empty((COUNT,), "float32")
            x[...] = number
            if not (x == number).all():
                wrong.append(number)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def _fill(queue: Any, kept: Array) -> None:
    mine = pool.empty((COUNT,), "float32")
    mine[...] = 2
    queue.put((float(kept.min()), float(mine.max())))


@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system"
)
def test_a_child_has_memory_of_its_own() -> None:
    kept, freed = pool.empty((COUNT,), "float32"), pool.empty((COUNT,), "float32")
    kept[...] = freed[...] = 1
    del freed
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_fill, args=(queue, kept))
    child.start()
    assert queue.get(timeout=60) == (1.0, 2.0)
    child.join(60)
    mine = pool.empty((COUNT,), "float32")
    mine[...] = 5
    assert kept.max() == 1


def test_gradients_that_are_held_stay(harness: Harness) -> None:
    """As in a loop that keeps the gradient of the step before."""
    r = rng("held")
    x = r.normal(size=(2, 300, 1000)).astype(np.float32)
    labels = r.integers(0, 1000, 300)
    f = xentropy.value_and_grad(xentropy.sparse_softmax_cross_entropy)
    first = f(harness.array(x[0]), harness.array(labels))[1]
    copied = np.array(harness.numpy(first))
    for _ in range(3):
        second = f(harness.array(x[1]), harness.array(labels))[1]
        assert (harness.numpy(first) == copied).all()
        assert (harness.numpy(second) != copied).any()


def _weighed() -> Array:
    x = pool.empty((64 * COUNT,), "float32")
    x[...] = 1
    return x[:1].copy()


def test_what_waits_counts_as_what_a_call_needs() -> None:
    """`xentropy.bench` weighs a call as if it were the first."""
    _weighed()
    needed = memory.beyond(Timed(_weighed))
    if needed is None:
        pytest.skip("no high-water mark on this system")
    assert needed >= 64 * COUNT * 4 * 0.9
