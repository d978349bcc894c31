"""Run the suite once per backend, each in a process of its own, and add up the results.

A process each because TensorFlow and a torch that loads triton do not survive one another. The
last line printed is ``N passed, N failed, N skipped``; a run that dies, that ends in a collection
error or that collects nothing counts as a failure. An expected failure counts as skipped.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["Run", "backends", "counts", "main"]

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ROOT / "backends" / "xentropy_backends"

# Frameworks compile, and commands start processes. The others come after these.
SLOWEST_FIRST = ("torch", "tensorflow", "jax", "none")

# The folder of the array API standard is tested with the library that is nothing but the standard.
STANDS_FOR = {"array_api": "array_api_strict"}

SUMMARY = re.compile(r"^=*\s*(\d+ [a-z ]+(?:, \d+ [a-z ]+)*) in [\d.]+s\b", re.MULTILINE)
# Subtests are not counted: a test is.
COUNTED_AS = {
    "passed": "passed",
    "xpassed": "passed",
    "failed": "failed",
    "error": "failed",
    "errors": "failed",
    "skipped": "skipped",
    "xfailed": "skipped",
}
PASSED = 0
TESTS_FAILED = 1


class Variant(NamedTuple):
    """A process to be: a backend, as it comes or in an environment of its own with some tests."""

    name: str
    backend: str
    environment: Mapping[str, str] = MappingProxyType({})
    tests: tuple[str, ...] = ()


class Run:
    """One finished process: what it ran on, how it ended, how long it took."""

    def __init__(self, backend: str, log: Path, status: int, seconds: float) -> None:
        self.backend = backend
        self.log = log
        self.status = status
        self.seconds = seconds
        self.output = log.read_text(encoding="utf-8", errors="replace")
        self.counts = counts(self.output, status)

    def __str__(self) -> str:
        ending = "" if self.status in (PASSED, TESTS_FAILED) else f" (exit status {self.status})"
        return f"{self.backend}: {line(self.counts)} in {self.seconds:.0f} s{ending}"


def backends() -> list[str]:
    """Return the names for ``--backends``: one per folder with pinned requirements, and ``none``.

    The slow ones come first, which fills both processes.
    """
    folders = [path.parent.name for path in ROOMS.glob("*/requirements.txt")]
    return [STANDS_FOR.get(name, name) for name in sorted([*folders, "none"], key=_place)]


def _place(name: str) -> int:
    return SLOWEST_FIRST.index(name) if name in SLOWEST_FIRST else len(SLOWEST_FIRST)


def variants(names: list[str]) -> list[Variant]:
    """Return each backend as it comes, and what its ``support.toml`` wants to be run besides.

    Or ``instead``: then the backend as it comes runs the rest.
    """
    found = []
    for name in names:
        path = ROOMS / name / "support.toml"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        extra = tomllib.loads(text).get("variants", [])
        apart = [f"--ignore={test}" for v in extra if v.get("instead") for test in v["tests"]]
        found.append(Variant(name, name, tests=tuple(apart)))
        found += [Variant(v["name"], name, v["environment"], tuple(v["tests"])) for v in extra]
    return found


def counts(output: str, status: int) -> Counter[str]:
    """Read pytest's last summary line; an end that it does not explain is one failure."""
    result: Counter[str] = Counter()
    found = SUMMARY.findall(output)
    for item in found[-1].split(", ") if found else []:
        number, word = item.split(maxsplit=1)
        if word in COUNTED_AS:
            result[COUNTED_AS[word]] += int(number)
    if not result["failed"] and (status != PASSED or not result["passed"]):
        result["failed"] = 1
    return result


def line(total: Counter[str]) -> str:
    """Return the plain closing line."""
    return f"{total['passed']} passed, {total['failed']} failed, {total['skipped']} skipped"


def run(variant: Variant, arguments: list[str], logs: Path) -> Run:
    """Run pytest for one backend with its output in a file."""
    file = variant.name.replace(" ", "_")
    log = logs / f"{file}.log"
    command = [sys.executable, "-m", "pytest", "--backends", variant.backend]
    # Two runs must not write one cache.
    command += ["-o", f"cache_dir={logs / 'cache' / file}", "--color=no"]
    command += arguments or variant.tests
    started = time.monotonic()
    with log.open("wb") as stream:
        status = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, **variant.environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    return Run(variant.name, log, status, time.monotonic() - started)


def main() -> int:
    """Run every backend asked for and return 1 if any of them failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("backends", nargs="*", help="default: all, and `none`")
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--logs", type=Path, default=ROOT / "build" / "test")
    parser.add_argument("--pytest", nargs=argparse.REMAINDER, default=[], help="passed on")
    options = parser.parse_args()

    logs = options.logs.resolve()
    logs.mkdir(parents=True, exist_ok=True)
    closing = logs / "counts.txt"
    closing.unlink(missing_ok=True)
    names = options.backends or backends()
    print(f"{', '.join(names)}: {options.jobs} at a time, logs in {logs}", flush=True)

    runs = []
    with ThreadPoolExecutor(options.jobs) as pool:
        pending = [pool.submit(run, v, options.pytest, logs) for v in variants(names)]
        for future in as_completed(pending):
            runs.append(future.result())
            print(f"\n##### {runs[-1].backend}\n{runs[-1].output}", flush=True)

    print()
    for finished in runs:
        print(finished)
    total = sum((finished.counts for finished in runs), Counter[str]())
    closing.write_text(line(total) + "\n", encoding="utf-8")
    print(line(total), flush=True)
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
