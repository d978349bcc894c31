"""A row per run in a CSV file that only grows."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import xentropy
from xentropy.bench.case import Run
from xentropy.bench.processes import Measured

from . import judge, machine

__all__ = ["COLUMNS", "append", "rows"]

COLUMNS: tuple[str, ...] = (
    "date",
    "commit",
    "device",
    "threads",
    "python",
    "xentropy",
    "framework",
    "versions",
    "kernels",
    "case",
    "run",
    "what",
    "loss",
    "shape",
    "dtype",
    "gradient",
    "how",
    "reduction",
    "options",
    "time_p20_us",
    "time_p50_us",
    "time_p80_us",
    "time_per_row_ns",
    "time_per_element_ns",
    "samples_count",
    "calls_per_sample_count",
    "peak_memory_bytes",
    "logits_bytes",
    "asked",
    "asked_value",
    "reached_value",
    "error",
)


def rows(measured: Measured, cores: int) -> list[dict[str, Any]]:
    """Return a row for each run of a case."""
    case, about = measured.case, measured.about
    value = judge.reached(measured)
    versions = {"numba": "none", **about.get("versions", {})}
    common = {
        "date": machine.today(),
        "commit": machine.commit(),
        "device": machine.device(),
        "python": platform.python_version(),
        "xentropy": xentropy.__version__,
        "framework": case.framework,
        "versions": " ".join(f"{k}={v}" for k, v in versions.items()),
        "kernels": ", ".join(about.get("kernels", ())),
        "case": case.name,
        "asked": case.ask.kind,
        "asked_value": case.ask.value or "",
        "reached_value": "" if value is None else f"{value:.4g}",
        "error": measured.error,
    }
    return [
        common | {"run": n, "threads": run.threads or cores} | _run(run) | _times(measured, n)
        for n, run in enumerate(case.runs)
    ]


def _run(run: Run) -> dict[str, Any]:
    return {
        "what": run.what,
        "loss": run.loss,
        "shape": "x".join(map(str, run.shape)),
        "dtype": run.dtype,
        "gradient": int(run.gradient),
        "how": run.how,
        "reduction": run.reduction,
        "options": json.dumps(dict(run.options)),
        "logits_bytes": run.nbytes,
    }


def _times(measured: Measured, n: int) -> dict[str, Any]:
    times = measured.times[n] if measured.times else None
    if times is None:
        return {"error": measured.error or "".join(measured.missing[n : n + 1])}
    run, peak = measured.case.runs[n], measured.peaks[n]
    scaled = {f"time_p{q}_us": times.quantile(q / 100) * 1e6 for q in (20, 50, 80)}
    if run.shape:
        scaled["time_per_row_ns"] = times.median * 1e9 / run.shape[0]
        scaled["time_per_element_ns"] = times.median * 1e9 / run.elements
    return {
        **{name: f"{number:.5g}" for name, number in scaled.items()},
        "samples_count": len(times.samples),
        "calls_per_sample_count": times.number,
        "peak_memory_bytes": "" if peak is None else peak,
    }


def append(path: Path, found: Sequence[Measured], cores: int) -> None:
    """Add the rows of all cases."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for measured in found:
            writer.writerows(rows(measured, cores))
