"""Everything as JSON, and the README's table as Markdown."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from pathlib import Path
from typing import Any

import numpy as np

import xentropy
from xentropy.parity.comparison import Comparison
from xentropy.parity.judge import Result

from .rows import QUANTITIES, Row, number, rows

__all__ = ["BEGIN", "END", "as_dict", "markdown", "versions", "write_json", "write_markdown"]

BEGIN, END = "<!-- parity:begin -->", "<!-- parity:end -->"


def versions(found: Comparison) -> dict[str, str]:
    """Return the versions of what ran, of Numba too where it computed."""
    known = {"xentropy": xentropy.__version__, "python": platform.python_version()}
    for about in found.about.values():
        known |= about.get("versions", {})
    if any("numba" in about.get("kernels", ()) for about in found.about.values()):
        known["numba"] = importlib.metadata.version("numba")
    return known


def _finite(x: Any) -> Any:
    """Return numbers that JSON knows, and the others as text."""
    if isinstance(x, dict):
        return {str(k): _finite(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return [_finite(v) for v in x]
    if isinstance(x, np.ndarray):
        return {"shape": list(x.shape), "dtype": x.dtype.name}
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x


def _result(result: Result) -> dict[str, Any]:
    errors: dict[str, Any] = dict.fromkeys(QUANTITIES)
    for name, e in result.errors.items():
        median = float(np.median(e.each)) if e.each.size else 0.0
        worst = {"at": e.at, "got": e.got, "true": e.true}
        counts = {"count": e.count, "finite": e.finite}
        errors[name] = {"max": e.largest, "median": median, **counts, "worst": worst}
    return {
        "loss": result.case.loss,
        "case": result.case.name,
        "dtype": result.case.dtype,
        "shape": list(result.case.prediction.shape),
        "options": dict(result.case.options),
        "backend": result.backend,
        "mode": result.mode,
        "oracle": result.how,
        "errors": errors,
        "bounds": dict(result.bounds),
        "passed": result.passed,
        "failures": result.failures,
        "native_error": result.native_error or None,
        "left_out": result.left_out or None,
    }


def _row(row: Row) -> dict[str, Any]:
    pairs = {k: None if v is None else {"max": v[0], "median": v[1]} for k, v in row.errors.items()}
    return {
        "loss": row.loss,
        "backend": row.backend,
        "mode": row.mode,
        "dtype": row.dtype,
        "cases": row.cases,
        "errors": pairs,
        "passed": row.passed,
    }


def as_dict(found: Comparison, command: str) -> dict[str, Any]:
    """Return the comparison as JSON knows it; errors are in ulp, infinities are text."""
    content = {
        "schema": 1,
        "command": command,
        "platform": platform.platform(),
        "versions": versions(found),
        "backends": found.about,
        "crashes": found.crashes,
        "notes": found.notes,
        "seconds": round(found.seconds, 1),
        "passed": found.passed,
        "table": [_row(row) for row in rows(found)],
        "results": [_result(result) for result in found.results],
    }
    safe: dict[str, Any] = _finite(content)
    return safe


def write_json(path: Path, found: Comparison, command: str) -> None:
    """Write `as_dict`."""
    text = json.dumps(as_dict(found, command), indent=1, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def markdown(found: Comparison, command: str) -> str:
    """Return the largest errors of the losses in float32, ours and native, as a table."""
    table = [row for row in rows(found) if row.dtype == "float32" and row.mode == "eager"]
    backends = list(dict.fromkeys(row.backend for row in table))
    cells = {(row.loss, row.backend): row for row in table}
    lines = [f"| loss | {' | '.join(backends)} |", "|---" * (len(backends) + 1) + "|"]
    for loss in dict.fromkeys(row.loss for row in table):
        line = [_cell(cells.get((loss, backend))) for backend in backends]
        lines.append(f"| `{loss}` | {' | '.join(line)} |")
    stand = ", ".join(f"{name} {version}" for name, version in versions(found).items())
    what = "Largest error of the loss in float32, in ulp: xentropy / the framework's own op."
    head = f"{what}\nWritten by `{command}` with {stand}."
    return "\n".join([head, "", *lines])


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    ours, native = row.errors["value"], row.errors["native_value"]
    return f"{number(ours and ours[0])} / {number(native and native[0], '–')}"


def write_markdown(path: Path, found: Comparison, command: str) -> None:
    """Replace what stands between the markers of a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    text = f"{before}{BEGIN}\n{markdown(found, command)}\n{END}{after}"
    path.write_text(text, encoding="utf-8")
