"""Threads for kernels, which release the interpreter lock: one a core, each with rows of its own.

Not Numba's: its threads spin and get into the way of the frameworks' own.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["GRAIN", "cores", "run"]

GRAIN = 2**17
"""Numbers that are worth a thread: it takes as long to wake one up as to read a tenth of them."""

_pool: ThreadPoolExecutor | None = None


def cores() -> int:
    """The threads to use: the cores of the process, or fewer where OMP_NUM_THREADS says so."""
    affinity = getattr(os, "sched_getaffinity", None)
    most = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return min(most, max(int(wanted), 1)) if wanted.isdigit() else most


def run(kernel: Callable[..., Any], arguments: tuple[Any, ...], rows: int, numbers: int) -> None:
    """Call ``kernel(*arguments, start, stop)`` for all rows, of that many numbers together."""
    parts = min(rows, numbers // GRAIN)
    if parts > 1:
        parts = min(parts, cores())
    if parts <= 1:
        kernel(*arguments, 0, rows)
        return
    edges = [rows * i // parts for i in range(parts + 1)]
    others: list[Future[Any]] = [
        _executor().submit(kernel, *arguments, start, stop)
        for start, stop in itertools.pairwise(edges[1:])
    ]
    try:
        kernel(*arguments, 0, edges[1])
    finally:
        for future in others:
            future.result()


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
