"""The command ``xentropy bench``: a shape of the user's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from xentropy.parity import flags, frameworks
from xentropy.parity.report import terminal
from xentropy.parity.userdata import BadInputError

from . import memory
from .adapters import ADAPTERS
from .case import ITEMSIZE, LINEAR, Case, How, Run
from .inputs import KINDS
from .processes import Measured, measure
from .timing import Effort

__all__ = ["bench", "duration"]

_PASSED, _FAILED = 0, 1
_COLUMNS = ("backend", "what", "xentropy", "native", "ratio", "GB/s")
# Logits, gradients, and what the frameworks' own ops hold beside them.
_COPIES = 5


def bench(
    rows: Annotated[int, typer.Option(help="Examples.")] = 2048,
    classes: Annotated[int, typer.Option(help="Classes.")] = 32000,
    features: Annotated[int, typer.Option(help=f"Of the layer of {LINEAR}.")] = 512,
    dtype: Annotated[str, typer.Option(help=f"{', '.join(ITEMSIZE)}.")] = "float32",
    backend: Annotated[
        list[str] | None,
        typer.Option(help="Frameworks, separated by commas, or given more than once."),
    ] = None,
    loss: Annotated[str, typer.Option(help="What to compute.")] = "sparse_softmax_cross_entropy",
    repeat: Annotated[int, typer.Option(help="Rounds; xentropy and native take turns.")] = 11,
    no_color: Annotated[
        bool, typer.Option("--no-color", help="Plain text on a terminal too.")
    ] = False,
) -> None:
    """Time a loss, forward and with its gradient, beside the framework's own op, on the CPU.

    Medians. GB/s: the bytes of the logits by the time of xentropy. Exit status 1 where a framework
    fails, 2 on bad input.
    """
    chosen = _backends(backend)
    _check(rows, classes, features, dtype, loss, repeat)
    shape = (rows, features, classes) if loss == LINEAR else (rows, classes)
    cases = [case for name in chosen for case in _cases(name, shape, dtype, loss)]
    console = terminal.console(no_color)
    found = measure(cases, Effort(least=repeat, most=repeat))
    console.print(_table(found))
    told = f"{loss}, {' x '.join(map(str, shape))}, {dtype}: medians of {repeat}"
    console.print(told, style="dim", markup=False)
    for line in _notes(found):
        console.print(line, markup=False)
    raise typer.Exit(_FAILED if any(measured.error for measured in found) else _PASSED)


def _backends(given: Sequence[str] | None) -> list[str]:
    named, known = flags.backends("--backend", given, ADAPTERS), frameworks.find()
    installed = [name for name in ADAPTERS if known[name].version is not None]
    return [name for name in installed if name in named or not named]


def _check(rows: int, classes: int, features: int, dtype: str, loss: str, repeat: int) -> None:
    counts = {"rows": rows, "classes": classes, "features": features, "repeat": repeat}
    for flag, number in counts.items():
        if number < 1:
            msg = f"--{flag}: {number} is not a positive number"
            raise BadInputError(msg)
    if dtype not in ITEMSIZE:
        msg = f"--dtype: no dtype is called {dtype!r}; there are {', '.join(ITEMSIZE)}"
        raise BadInputError(msg)
    if loss not in KINDS:
        msg = f"--loss: no loss {loss!r} can be timed; there are {', '.join(KINDS)}"
        raise BadInputError(msg)
    needed, free = rows * classes * ITEMSIZE[dtype] * _COPIES, memory.available()
    if free is not None and needed > free:
        msg = f"--rows, --classes: takes {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} are free"
        raise BadInputError(msg)


def _cases(name: str, shape: tuple[int, ...], dtype: str, loss: str) -> list[Case]:
    """Return forward and forward with gradient, for JAX compiled too."""
    ways: tuple[How, ...] = ("eager", "jit") if name == "jax" else ("eager",)
    cases = []
    for how in ways:
        for gradient in (False, True):
            what = "forward + gradient" if gradient else "forward"
            ours = Run(loss=loss, shape=shape, dtype=dtype, gradient=gradient, how=how)
            native = Run("native", loss, shape, dtype, gradient, how)
            title = what if how == "eager" else f"{what}, jit"
            cases.append(Case(title, name, (ours, native)))
    return cases


def _table(found: Sequence[Measured]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for title in _COLUMNS:
        left = title in _COLUMNS[:2]
        table.add_column(title, justify="left" if left else "right", overflow="fold")
    for measured in found:
        table.add_row(*(Text(cell) for cell in _cells(measured)))
    return table


def _cells(measured: Measured) -> list[str]:
    case = measured.case
    head = [case.framework, case.name]
    if measured.error:
        return [*head, "failed", "", "", ""]
    ours, native = ((None if t is None else t.median) for t in measured.times)
    if ours is None:
        return [*head, "–", "" if native is None else duration(native), "", ""]
    read = f"{case.runs[0].nbytes / ours / 1e9:.2f}"
    if native is None:
        return [*head, duration(ours), "–", "", read]
    return [*head, duration(ours), duration(native), f"{native / ours:.2f}x", read]


def duration(seconds: float) -> str:
    """Return three digits of a time, with its unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def _notes(found: Sequence[Measured]) -> list[str]:
    """Return why something was not measured, and what computed."""
    lines: dict[str, Any] = {}
    for measured in found:
        name = measured.case.framework
        if measured.error:
            lines[f"{name}: {measured.error}"] = None
        for why in filter(None, measured.missing):
            lines[f"{name}: {why}"] = None
        if measured.about:
            versions = (f"{k} {v}" for k, v in measured.about["versions"].items())
            kernels = ", ".join(measured.about["kernels"])
            lines[f"{name}: {', '.join(versions)}; computed by {kernels}"] = None
    return list(lines)
