"""The table of ratios, for a terminal and for the README."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import machine
from .judge import Outcome

__all__ = ["BEGIN", "END", "has_markers", "markdown", "show", "write_markdown"]

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
_WORD = {True: "yes", False: "NO", None: ""}
_STYLE = {True: "green", False: "bold red", None: ""}


def show(lines: Sequence[Outcome], console: Console) -> None:
    """Print a line per case."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in ("case", "asked", "reached", "xentropy", "beside", "met"):
        right = title in ("reached", "xentropy", "beside")
        table.add_column(title, justify="right" if right else "left", overflow="fold")
    framework = ""
    for line in lines:
        if line.framework != framework:
            framework = line.framework
            table.add_row(Text(framework, style="bold"))
        name = line.case if line.what == "time" else "  its memory"
        cells = (name, line.asked, line.reached, line.ours, line.base)
        met = Text(_WORD[line.met], style=_STYLE[line.met])
        table.add_row(*(Text(cell) for cell in cells), met)
    console.print(table)
    judged = [line.met for line in lines if line.met is not None]
    console.print(f"{sum(judged)} of {len(judged)} met", style="bold")


def markdown(lines: Sequence[Outcome], cores: int) -> str:
    """Return the table for the README."""
    head = (
        f"Medians on {machine.device()}, {cores} used, commit {machine.commit()}. Memory: what a "
        "call needs beyond its arguments and its result, as a part of the logits, xentropy / what "
        "stands beside it; 2 % are allowed, of a linear layer 64 MB, which are 6 %. "
        "Bold: missed."
    )
    memory = {(line.framework, line.case): _both(line) for line in lines if line.what == "memory"}
    table = ["| | case | asked | reached | memory |", "|---|---|---|---|---|"]
    for line in lines:
        if line.what == "time":
            cells = [
                line.case,
                line.asked,
                _cell(line),
                memory.get((line.framework, line.case), ""),
            ]
            table.append(f"| {line.framework} | {' | '.join(cells)} |")
    return "\n".join([head, "", *table])


def _cell(line: Outcome) -> str:
    return f"**{line.reached}**" if line.met is False else line.reached


def _both(line: Outcome) -> str:
    return _cell(line) if line.base == "–" else f"{_cell(line)} / {line.base}"


def has_markers(path: Path) -> bool:
    """Return whether `write_markdown` can write to a file."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return 0 <= text.find(BEGIN) < text.find(END)


def write_markdown(path: Path, text: str) -> None:
    """Replace what stands between the markers of a file."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
