"""A process per framework and setting, one at a time: two would take each other's cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .case import Case, as_json
from .timing import Effort, Times

__all__ = ["Measured", "environment", "measure"]

_CPU = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
# They would change what is measured.
_UNSET = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_WITHOUT_NUMBA = "import sys; sys.modules['numba'] = None; "
_START = "from xentropy.bench.worker import main; main()"
_TURNS = 3
"""How often processes take turns that cannot be one."""


@dataclass
class Measured:
    """A case and what was found.

    Attributes
    ----------
    times, peaks, missing
        One per run: None where it was not timed; bytes beyond arguments and result; why not.
    about
        Versions and kernels.
    error
        What went wrong.
    """

    case: Case
    times: list[Times | None] = field(default_factory=list)
    peaks: list[int | None] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    error: str = ""

    def add(self, record: dict[str, Any]) -> None:
        """Take over what a worker says of the case."""
        self.error = record.get("error", "")
        for run in record.get("runs", ()):
            timed = "samples" in run
            self.times.append(Times(run["number"], run["samples"]) if timed else None)
            self.peaks.append(run.get("peak"))
            self.missing.append(run.get("missing", ""))


Tell = Callable[[Measured], None]


def environment(threads: int | None = None) -> dict[str, str]:
    """Return the environment of a process that is measured."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    return kept | _CPU | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})


def measure(
    cases: Sequence[Case],
    effort: Effort,
    cores: int | None = None,
    tell: Tell = lambda measured: None,
) -> list[Measured]:
    """Return what each case took, in the order of the cases.

    Parameters
    ----------
    cases
        Those of one framework share a process, with and without Numba, unless they want to be
        alone.
    effort
        How long to measure each.
    cores
        How many the processes may use; None for all.
    tell
        Called as cases are done.
    """
    found = {id(case): Measured(case) for case in cases}
    groups: dict[tuple[str, bool, int], list[Measured]] = {}
    for case in cases:
        if not case.across:
            key = case.framework, case.numba, id(case) if case.alone else 0
            groups.setdefault(key, []).append(found[id(case)])
    for group in groups.values():
        _run(group, effort, cores, tell)
    for case in cases:
        if case.across:
            _take_turns(found[id(case)], effort, cores)
            tell(found[id(case)])
    return [found[id(case)] for case in cases]


def _take_turns(measured: Measured, effort: Effort, cores: int | None) -> None:
    """Measure runs that cannot share a process: A B A B all the same."""
    runs = measured.case.runs
    parts: list[list[Measured]] = [[] for _ in runs]
    for _ in range(_TURNS):
        for run, turns in zip(runs, parts, strict=True):
            turns.append(Measured(measured.case.only(run)))
            _run([turns[-1]], effort, cores, lambda measured: None)
    measured.about = parts[0][0].about
    measured.error = next((m.error for turns in parts for m in turns if m.error), "")
    if measured.error:
        return
    for turns in parts:
        known = [m.times[0] for m in turns if m.times[0] is not None]
        samples = [seconds for times in known for seconds in times.samples]
        measured.times.append(Times(known[0].number, samples) if known else None)
        measured.peaks.append(turns[0].peaks[0])
        measured.missing.append(turns[0].missing[0])


def _run(group: list[Measured], effort: Effort, cores: int | None, tell: Tell) -> None:
    """Measure cases in one process."""
    case = group[0].case
    code = _START if case.numba else _WITHOUT_NUMBA + _START
    request = {
        "framework": case.framework,
        "effort": asdict(effort),
        "cores": cores,
        "cases": [as_json(measured.case) for measured in group],
    }
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
        subprocess.Popen(
            # -P, or a folder `torch` beside the caller would be imported.
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
            env=environment(case.runs[0].threads),
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(request))
            process.stdin.close()
            done = _listen(process.stdout, group, tell)
        except BrokenPipeError:
            done = False
        status = process.wait()
        if not done or status:
            log.seek(0)
            lines = log.read().strip().splitlines()
            end = f"the process ended early, status {status}: {lines[-1] if lines else ''}"
            for measured in group:
                if not measured.times and not measured.error:
                    measured.error = end
                    tell(measured)


def _listen(lines: Iterable[str], group: list[Measured], tell: Tell) -> bool:
    about: dict[str, Any] = {}
    for line in lines:
        record = json.loads(line)
        if "about" in record:
            about = record["about"]
        elif "case" in record:
            measured = group[record["case"]]
            measured.about = about
            measured.add(record)
            tell(measured)
        elif "done" in record:
            return True
    return False
