"""One self-contained page: summary, a plot of all losses, the table, and what is beyond a bound."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from xentropy.parity.comparison import Comparison

from .data import versions
from .rows import QUANTITIES, Row, failure_lines, number, rows

__all__ = ["write_html"]

_LEFT, _WIDTH, _STEP, _TOP = 230, 960, 22, 26
_LOW, _HIGH = -2.0, 17.0
"""Powers of ten of the axis: 0.01 ulp to more than a float64 has."""


def _x(ulps: float) -> float:
    power = math.log10(ulps) if 0 < ulps < math.inf else (_LOW if ulps == 0 else _HIGH)
    share = (min(max(power, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)
    return round(_LEFT + share * (_WIDTH - _LEFT - 20), 1)


def _plot(table: list[Row]) -> dict[str, Any]:
    """Return the marks of a plot: a line per loss, a mark per framework, the largest errors."""
    chosen = [row for row in table if row.dtype == "float32"] or table
    losses = list(dict.fromkeys(row.loss for row in chosen))
    marks = []
    for row in chosen:
        y = _TOP + losses.index(row.loss) * _STEP + _STEP / 2
        for name in ("native_value", "value"):
            pair = row.errors[name]
            if pair is not None:
                what = "its own op" if "native" in name else "xentropy"
                title = f"{row.loss}, {row.framework}, {what}: {number(pair[0])} ulp"
                marks.append({"x": _x(pair[0]), "y": y, "native": name != "value", "title": title})
    ticks = [{"x": _x(10.0**k), "text": _power(k)} for k in range(int(_LOW), int(_HIGH), 2)]
    return {
        "losses": [
            {"name": loss, "y": _TOP + i * _STEP + _STEP / 2} for i, loss in enumerate(losses)
        ],
        "marks": marks,
        "ticks": ticks,
        "bound": _x(4.0),
        "left": _LEFT,
        "width": _WIDTH,
        "top": _TOP,
        "height": _TOP + len(losses) * _STEP + 8,
        "dtype": chosen[0].dtype if chosen else "",
    }


def _power(k: int) -> str:
    return {-2: "≤ 0.01", 0: "1", 2: "100"}.get(k, f"1e{k}")


def _groups(table: list[Row]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        cells = []
        for name in QUANTITIES:
            kind = "over" if name in row.over else "native" if "native" in name else ""
            largest, median = row.errors[name] or (None, None)
            cells += [(number(largest), kind), (number(median), kind.replace("over", ""))]
        line = {
            "framework": row.framework,
            "dtype": row.dtype + "*" * row.partial,
            "cells": cells,
            "passed": row.passed,
        }
        groups.setdefault(row.loss, []).append(line)
    return list(groups.items())


def write_html(path: Path, found: Comparison, command: str) -> None:
    """Write the page."""
    source = (
        resources.files("xentropy.parity.report")
        .joinpath("page.html.j2")
        .read_text(encoding="utf-8")
    )
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    table = rows(found)
    text = environment.from_string(source).render(
        command=command,
        found=found,
        versions=versions(found),
        failures=failure_lines(found),
        plot=_plot(table),
        groups=_groups(table),
        cases=len({(r.case.loss, r.case.name, r.case.dtype) for r in found.results}),
    )
    path.write_text(text + "\n", encoding="utf-8")
