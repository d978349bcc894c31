"""A whole run: the cases to the frameworks, the truth meanwhile, and the comparison."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .cases import Case
from .exchange import read_arrays, write_cases
from .judge import Result, judge
from .processes import Finished, running
from .truth import Truths

__all__ = ["Comparison", "compare_all"]

Tell = Callable[[str], None]


@dataclass
class Comparison:
    """Everything that a run found out.

    Attributes
    ----------
    about
        By framework: versions, devices and kernels.
    crashes
        By framework: how its process ended, where that was too early.
    notes
        What was left out, and why.
    """

    results: list[Result] = field(default_factory=list)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    crashes: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def failed(self) -> list[Result]:
        """Return the results beyond a bound, or where the library raised."""
        return [result for result in self.results if not result.passed]

    @property
    def passed(self) -> bool:
        """Return whether every process ended well and every number is within its bound."""
        return not self.failed and not self.crashes and bool(self.results)

    @property
    def nothing(self) -> str:
        """Return why there was nothing to compare; empty where there was something."""
        errors = [e for result in self.results for e in result.errors.values()]
        if any(e.nan < e.count for e in errors):
            return ""
        why = ["every true loss and gradient is NaN"] if errors else []
        return "; ".join(why + self.left_out)

    @property
    def left_out(self) -> list[str]:
        """Return what was not run, and why."""
        lines = [f"{r.case.dtype} on {r.backend}: {r.left_out}" for r in self.results if r.left_out]
        return list(dict.fromkeys(lines))


def compare_all(
    cases: Sequence[Case], backends: Sequence[str], tell: Tell = lambda what: None
) -> Comparison:
    """Run the cases on every backend and compare; `tell` hears of every step."""
    started = time.monotonic()
    found = Comparison()
    with tempfile.TemporaryDirectory(prefix="xentropy-parity-") as name:
        scratch = Path(name)
        write_cases(scratch, cases)
        with running(backends, scratch, scratch, tell) as futures:
            truths = []
            for case in cases:
                truths.append(Truths(case))
                for _ in truths[-1].parts():
                    pass
                tell("truth")
            for future in futures:
                _collect(found, cases, truths, future)
    found.seconds = time.monotonic() - started
    return found


def _collect(
    found: Comparison, cases: Sequence[Case], truths: Sequence[Truths], future: Future[Finished]
) -> None:
    finished = future.result()
    found.about[finished.backend] = finished.about
    if finished.crash:
        found.crashes[finished.backend] = finished.crash
    for record in finished.records:
        n = record["case"]
        path = finished.out / f"{n}-{record['mode']}.npz"
        arrays = read_arrays(path) if path.exists() else {}
        found.results.append(judge(truths[n], cases[n], finished.backend, record, arrays))
        path.unlink(missing_ok=True)
