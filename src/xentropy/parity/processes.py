"""One process per framework, two at a time; one that dies takes nothing with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Finished", "command", "running"]

# What is compared is the arithmetic of the CPU: the same everywhere, float64 included.
_ON_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass
class Finished:
    """What a worker said before it ended.

    Attributes
    ----------
    about
        Versions, devices and kernels.
    records
        One per case and mode.
    crash
        How it ended, where that was too early.
    """

    backend: str
    out: Path
    about: dict[str, Any] = field(default_factory=dict)
    records: list[dict[str, Any]] = field(default_factory=list)
    crash: str = ""


def command(backend: str, *more: str) -> list[str]:
    """Return how to start a worker; -P, or a folder `torch` beside the caller would be imported."""
    return [sys.executable, "-P", "-m", "xentropy.parity.worker", backend, *more]


class _Pool:
    def __init__(self, tell: Callable[[str], None]) -> None:
        self.tell = tell
        self.alive: list[subprocess.Popen[str]] = []
        self.stopped = threading.Event()

    def work(self, backend: str, more: Sequence[str], out: Path, on_cpu: bool) -> Finished:
        """Run one worker to its end."""
        found = Finished(backend, out)
        if self.stopped.is_set():
            return found
        log = out / "stderr.txt"
        with (
            log.open("w", encoding="utf-8") as stderr,
            subprocess.Popen(
                command(backend, *more),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                encoding="utf-8",
                env=os.environ | _QUIET | (_ON_CPU if on_cpu else {}),
            ) as process,
        ):
            self.alive.append(process)
            done = self._listen(process, found)
            status = process.wait()
        if not done or status:
            found.crash = _ending(status, log)
        return found

    def _listen(self, process: subprocess.Popen[str], found: Finished) -> bool:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                record = json.loads(line)
            except ValueError:  # cut off in the middle
                return False
            if "about" in record:
                found.about = record["about"]
            elif "case" in record:
                found.records.append(record)
                self.tell(found.backend)
            elif "done" in record:
                return True
        return False

    def stop(self) -> None:
        self.stopped.set()
        for process in self.alive:
            if process.poll() is None:
                process.terminate()


def _ending(status: int, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    how = f"exit status {status}"
    if status < 0:
        how = f"signal {signal.Signals(-status).name}"
    return f"{how}: {lines[-1].strip()}" if lines else how


@contextmanager
def running(
    backends: Sequence[str],
    cases: Path | None,
    scratch: Path,
    tell: Callable[[str], None] = lambda backend: None,
    jobs: int | None = None,
) -> Iterator[list[Future[Finished]]]:
    """Start a worker per backend and give their ends; leaving stops those that still run.

    Parameters
    ----------
    backends
        Names of frameworks.
    cases
        The folder with the cases; None to ask what each framework is, on all its devices.
    scratch
        Where each gets a folder for its results.
    tell
        Called after each case and mode, from other threads.
    jobs
        How many at a time; by default two, or one on a single core.
    """
    pool = _Pool(tell)
    with ThreadPoolExecutor(jobs or min(2, os.cpu_count() or 1)) as threads:
        futures = []
        for backend in backends:
            out = scratch / f"out-{backend}"
            out.mkdir()
            more = [] if cases is None else [str(cases), str(out)]
            futures.append(threads.submit(pool.work, backend, more, out, cases is not None))
        try:
            yield futures
        finally:
            pool.stop()
