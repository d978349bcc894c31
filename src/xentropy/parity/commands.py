"""The commands ``xentropy parity``, ``xentropy backends`` and ``xentropy bench``."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import xentropy
from xentropy.bench.command import bench
from xentropy.dispatch import registered_backends

from . import comparison, flags, frameworks, outputs, processes, selection, userdata, worker
from .cases import DTYPES, Case
from .report import data, terminal
from .report.rows import not_finite
from .userdata import BadInputError

__all__ = ["run"]

_PASSED, _BEYOND, _BAD_INPUT = 0, 1, 2

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Cross-entropy losses with one meaning on every framework.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(xentropy.__version__)
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    pass


_NoColor = Annotated[bool, typer.Option("--no-color", help="Plain text on a terminal too.")]
_Many = "Separated by commas, or given more than once."


@app.command()
def parity(
    logits: Annotated[Path | None, typer.Option(help="Your predictions, an .npy file.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Your labels, an .npy file.")] = None,
    loss: Annotated[list[str] | None, typer.Option(help=f"Losses to run. {_Many}")] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE for your arrays; @FILE.npy for an array.")
    ] = None,
    backends: Annotated[list[str] | None, typer.Option(help=f"Frameworks. {_Many}")] = None,
    dtype: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(DTYPES)}: what to run, or convert to.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Write everything there.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page there.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help=f"Write a table between {data.BEGIN} and {data.END}.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases, no compilers.")] = False,
    no_color: _NoColor = False,
) -> None:
    """Compare value and gradient of the losses with the truth on every framework installed.

    Without --logits: the founding examples, scikit-learn's digits and a stress set. Exit status 1
    where a bound is exceeded, 2 on bad input or where there is nothing to compare.
    """
    console = terminal.console(no_color)
    chosen = _backends(backends)
    outputs.check(json, html, markdown)
    dtypes = _dtypes(flags.split("--dtype", dtype))
    losses = flags.split("--loss", loss)
    if logits is None:
        cases, notes = _standing(losses, dtypes, quick, labels, option)
    else:
        cases, notes = _yours(logits, labels, losses, option or [], dtypes, quick), []
    with _progress(cases, chosen, no_color) as tell:
        found = comparison.compare_all(cases, chosen, tell)
    if found.passed and found.nothing:
        msg = f"nothing to compare: {found.nothing}"
        raise BadInputError(msg)
    left_out = [f"left out, {line}" for line in found.left_out]
    found.notes = not_finite(found) + notes + left_out + _absent(chosen, backends)
    terminal.parity_table(found, console)
    terminal.verdict(found, console)
    outputs.write(found, shlex.join(["xentropy", *sys.argv[1:]]), json, html, markdown)
    raise typer.Exit(_PASSED if found.passed else _BEYOND)


@app.command(name="backends")
def _list(no_color: _NoColor = False) -> None:
    """List the frameworks found: versions, devices, and which kernels compute."""
    console = terminal.console(no_color)
    known = frameworks.find() | frameworks.others()
    # Those registered are known to this process only.
    here = registered_backends().keys() - frameworks.KNOWN
    ends = {name: processes.Finished(name, Path(), worker.about(name)) for name in here}
    present = [n for n, f in known.items() if f.version is not None and n not in here]
    with (
        tempfile.TemporaryDirectory(prefix="xentropy-parity-") as scratch,
        processes.running(present, None, Path(scratch)) as futures,
    ):
        for future in futures:
            ends[future.result().backend] = future.result()
    terminal.backends_table([_line(f, ends.get(f.name)) for f in known.values()], console)
    raise typer.Exit(_BEYOND if any(end.crash for end in ends.values()) else _PASSED)


app.command()(bench)


def _line(
    framework: frameworks.Framework, end: processes.Finished | None
) -> tuple[str, str, str, str]:
    if end is None:
        return framework.name, "not installed", "", ""
    version = framework.version or ""
    if end.crash:
        return framework.name, version, f"did not start: {end.crash}", ""
    devices, kernels = (", ".join(end.about[k]) for k in ("devices", "kernels"))
    return framework.name, version, devices, kernels


def _backends(given: Sequence[str] | None) -> list[str]:
    named = flags.backends("--backends", given, frameworks.KNOWN)
    return [n for n, f in frameworks.find().items() if (n in named if named else f.by_default)]


def _absent(chosen: list[str], named: Sequence[str] | None) -> list[str]:
    if named:
        return []
    missing = [n for n, f in frameworks.find().items() if f.version is None and n not in chosen]
    return [f"not installed: {', '.join(missing)}"] if missing else []


def _dtypes(named: tuple[str, ...]) -> tuple[str, ...]:
    for name in named:
        if name not in DTYPES:
            msg = f"--dtype: no dtype is called {name!r}; there are {', '.join(DTYPES)}"
            raise BadInputError(msg)
    return named


def _standing(
    losses: tuple[str, ...],
    dtypes: tuple[str, ...],
    quick: bool,
    labels: Path | None,
    option: list[str] | None,
) -> tuple[list[Case], list[str]]:
    for flag, given in (("--labels", labels), ("--option", option)):
        if given:
            msg = f"{flag} needs --logits"
            raise BadInputError(msg)
    for name in losses:
        userdata.check_loss(name)
    cases, notes = selection.standing(losses, dtypes, quick)
    if not cases:
        msg = f"nothing to run: no case of {', '.join(losses)} in {', '.join(dtypes)}"
        raise BadInputError(msg)
    return cases, notes


def _yours(
    logits: Path,
    labels: Path | None,
    losses: tuple[str, ...],
    options: list[str],
    dtypes: tuple[str, ...],
    quick: bool,
) -> list[Case]:
    return [
        userdata.case(logits, labels, loss, options, dtype, compiled=not quick)
        for loss in losses or (None,)
        for dtype in dtypes or (None,)
    ]


@contextmanager
def _progress(cases: list[Case], chosen: list[str], no_color: bool) -> Iterator[comparison.Tell]:
    """Give what tells of a step; a bar on standard error where that is a terminal."""
    console = terminal.console(no_color, stderr=True)
    if not console.is_terminal:
        yield lambda what: None
        return
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as bar:
        modes = {"tensorflow": 3, "torch": 2, "jax": 2}
        compiled = sum(case.compiled for case in cases)
        tasks = {"truth": bar.add_task("truth", total=len(cases))}
        for name in chosen:
            total = len(cases) + compiled * (modes.get(name, 1) - 1)
            tasks[name] = bar.add_task(name, total=total)
        yield lambda what: bar.advance(tasks[what])


def run(arguments: list[str]) -> int:
    """Run a command and return its exit status."""
    try:
        status: Any = app(arguments or ["--help"], prog_name="xentropy", standalone_mode=False)
    except BadInputError as error:
        text = str(error)  # the library's own words already begin so
        print(text if text.startswith("xentropy.") else f"xentropy: {text}", file=sys.stderr)
        return _BAD_INPUT
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not hasattr(error, "exit_code"):  # not what typer raises for a wrong command line
            raise
        message = getattr(error, "format_message", None)
        text = str(error) if message is None else message()
        print(f"xentropy: {text}", file=sys.stderr)
        return _BAD_INPUT
    return status if isinstance(status, int) else _PASSED
