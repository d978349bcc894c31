"""Threads for kernels, which release the interpreter lock: one a core, each with rows of its own.

Not Numba's: its threads spin and get into the way of the frameworks' own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["GRAIN", "cores", "is_small", "run"]

GRAIN = 2**17
"""Numbers that are worth a thread: it takes as long to wake one up as to read a tenth of them."""

PART = 2**17
"""Numbers of a part, at least."""
PARTS = 8
"""Parts for each thread, at most."""

_pool: ThreadPoolExecutor | None = None


def cores() -> int:
    """The threads to use: the cores of the process, or fewer where OMP_NUM_THREADS says so."""
    affinity = getattr(os, "sched_getaffinity", None)
    most = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(most, max(int(wanted), 1)) if wanted.isdigit() else most


def is_small(numbers: int) -> bool:
    """Whether so many numbers are worth one thread only."""
    return numbers < 2 * GRAIN


def run(kernel: Callable[..., int], arguments: tuple[Any, ...], rows: int, numbers: int) -> int:
    """Call ``kernel(*arguments, start, stop)`` for all rows, of that many numbers together.

    Returns the sum of what it returns. Threads take parts as they come: one that wakes up late, or
    has to share its core, does less.
    """
    threads = 1 if is_small(numbers) else min(rows, numbers // GRAIN, cores())
    if threads <= 1:
        return kernel(*arguments, 0, rows)
    each = min(max(numbers // (PART * threads), 1), PARTS)
    parts = min(rows, each * threads)
    edges = [rows * i // parts for i in range(parts + 1)]
    # Not neighbors at the same time: two threads that first touch a page both clear it.
    pairs, apart = list(itertools.pairwise(edges)), -(-parts // threads)
    waiting = iter([pair for i in range(apart) for pair in pairs[i::apart]])

    def work() -> int:
        return sum(kernel(*arguments, start, stop) for start, stop in waiting)

    others = _others(work, threads - 1)
    try:
        found = work()
    finally:
        rest = [future.result() for future in others]
    return found + sum(rest)


def _others(work: Callable[[], int], count: int) -> list[Future[int]]:
    """The same work in threads besides; in none where the interpreter is about to end."""
    try:
        return [_executor().submit(work) for _ in range(count)]
    except RuntimeError:
        return []


def _executor() -> ThreadPoolExecutor:
    global _pool
    if _pool is None:
        _pool = ThreadPoolExecutor(max(cores() - 1, 1), thread_name_prefix="xentropy")
    return _pool


def _forget() -> None:
    """Threads do not survive a fork, as in the workers of a data loader."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
