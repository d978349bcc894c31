"""The table and the verdict for a terminal, 80 columns wide; plain text where it is a file."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from xentropy.parity.comparison import Comparison

from .rows import QUANTITIES, Row, failure_lines, number, rows

__all__ = ["backends_table", "console", "parity_table", "verdict"]

_MOST = 30
_NAME, _DTYPE, _NUMBER = 27, 5, 6
"""Widths of the columns: 27 + 8 * 6 is 75."""
_SHORT = {"float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16"}


def console(no_color: bool, *, stderr: bool = False) -> Console:
    """Return where to print; without color it counts as a file, which gets no escape sequence."""
    return Console(stderr=stderr, force_terminal=False if no_color else None, highlight=False)


def parity_table(found: Comparison, console: Console) -> None:
    """Print a line per loss, framework, mode and dtype."""
    titles = ("value", "native", "gradient", "native")
    space = " " * _NAME
    console.print(Text(space + "".join(f"{t:>{2 * _NUMBER}}" for t in titles), style="bold"))
    pair = f"{'max':>{_NUMBER}}{'med':>{_NUMBER}}"
    console.print(Text(f"{'errors in ulp':{_NAME}}{pair * len(titles)}", style="bold"))
    loss = ""
    for row in rows(found):
        if row.loss != loss:
            loss = row.loss
            console.print(Text(loss, style="bold"))
        console.print(_line(row))


def _line(row: Row) -> Text:
    name = f"  {row.framework} "
    dtype = _SHORT[row.dtype] + "*" * row.partial
    line = Text(f"{name:{_NAME - _DTYPE}}{dtype:{_DTYPE}}")
    line.stylize("" if row.passed else "red")
    for quantity in QUANTITIES:
        largest, median = row.errors[quantity] or (None, None)
        usual = "dim" if "native" in quantity else ""
        style = "bold red" if quantity in row.over else usual
        line.append(f"{number(largest):>{_NUMBER}}", style=style)
        line.append(f"{number(median):>{_NUMBER}}", style=usual)
    return line


def verdict(found: Comparison, console: Console) -> None:
    """Print what was left out, what is beyond a bound, and one closing line."""
    for note in found.notes:
        console.print(note, markup=False)
    lines = failure_lines(found)
    for line in lines[:_MOST]:
        console.print(f"[red]{escape(line)}[/red]", soft_wrap=True)
    if len(lines) > _MOST:
        console.print(f"[red]and {len(lines) - _MOST} more: --json FILE lists them all[/red]")
    native = "native: the framework's own op in the same unit, - where it has none"
    ulp = "ulp of the result and of the gradient, of a layer of the terms of its products"
    console.print(ulp, style="dim")
    console.print(native, style="dim")
    count, over = sum(not r.left_out for r in found.results), len(found.failed)
    what = f"{_plural(count, 'comparison')}, {_plural(len(found.about), 'framework')}"
    ending = f"{what}, {found.seconds:.0f} s"
    word = f"{over} beyond a bound" if over else "all within their bounds"
    word = word if count else "nothing compared"
    died = f"; ended early: {', '.join(found.crashes)}" if found.crashes else ""
    style = "green" if found.passed else "bold red"
    console.print(f"{ending}: {word}{died}", style=style)


def _plural(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def backends_table(lines: list[tuple[str, str, str, str]], console: Console) -> None:
    """Print what `xentropy backends` found."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in ("backend", "version", "devices", "kernels"):
        table.add_column(title, overflow="fold")
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    console.print(table)
