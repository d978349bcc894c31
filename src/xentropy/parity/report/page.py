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

_LOW, _HIGH = -2.0, 17.0
"""Powers of ten of the axis: 0.01 ulp to more than a float64 has."""
_MARGIN = 3.0
"""Per cent of the width left free at either end."""


def _x(ulps: float) -> float:
    """Return the place on the axis, in per cent."""
    power = math.log10(ulps) if 0 < ulps < math.inf else (_LOW if ulps == 0 else _HIGH)
    share = (min(max(power, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW)
    return round(_MARGIN + share * (100 - 2 * _MARGIN), 2)


def _marks(row: Row) -> list[dict[str, Any]]:
    """Return the largest errors of a framework, its own op first, beneath the library's."""
    marks = []
    for name in ("native_value", "value"):
        pair = row.errors[name]
        if pair is not None:
            what = "its own op" if "native" in name else "xentropy"
            title = f"{row.loss}, {row.framework}, {what}: {number(pair[0])} ulp"
            marks.append({"x": _x(pair[0]), "native": name != "value", "title": title})
    return marks


def _plot(table: list[Row]) -> dict[str, Any]:
    """Return the lines of a plot, one per loss: its bound and a mark per framework."""
    chosen = [row for row in table if row.dtype == "float32"] or table
    losses = []
    for loss in dict.fromkeys(row.loss for row in chosen):
        rows_ = [row for row in chosen if row.loss == loss]
        bound = max(row.bound for row in rows_)
        marks = [mark for row in rows_ for mark in _marks(row)]
        losses.append({"name": loss, "bound": f"{bound:.3g}", "limit": _x(bound), "marks": marks})
    ticks = [{"x": _x(10.0**k), "text": _power(k)} for k in range(int(_LOW), int(_HIGH), 2)]
    return {"losses": losses, "ticks": ticks, "dtype": chosen[0].dtype if chosen else ""}


def _power(k: int) -> str:
    return {-2: "≤ 0.01", 0: "1", 2: "100"}.get(k, f"1e{k}")


def _groups(table: list[Row]) -> list[tuple[str, list[dict[str, Any]]]]:
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        cells = []
        for name in QUANTITIES:
            kind = "over" if name in row.over else "native" if "native" in name else ""
            largest, median = row.errors[name] or (None, None)
            cells.append((number(largest), number(median), kind))
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
        words=command.split(" "),
        found=found,
        versions=versions(found),
        failures=failure_lines(found),
        plot=_plot(table),
        groups=_groups(table),
        cases=len({(r.case.loss, r.case.name, r.case.dtype) for r in found.results}),
    )
    path.write_text(text + "\n", encoding="utf-8")
