"""Measure, print the table of ratios, add to the results and draw the picture."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from xentropy.bench.adapters import ADAPTERS
from xentropy.bench.case import Case
from xentropy.bench.memory import available
from xentropy.bench.processes import Measured, measure
from xentropy.bench.timing import Effort

from . import importing, joined, judge, machine, picture, record, table
from .cases import CASES, LONG, LONGEST, PICTURE

__all__ = ["main"]

CORES = 2
ASKED, QUICK, DRAWN = Effort(seconds=1.0), Effort(3, 3, 0.0, 0.001), Effort(least=5, seconds=0.3)
# Calls of seconds: that which weighs them warms up, too.
FEW = Effort(least=2, most=3, seconds=20.0, sample=0.0, warm_up=0)
# Most of a minute: a noise of some per cent does not matter where the factor is above ten.
ONCE = replace(FEW, least=1, most=1)
IMPORTS, WIDTH = 11, 120
# Bytes of memory for one case. What needs more, or with --quick is not light, loses most rows.
MOST, LIGHT, SMALLER = 6 * 10**9, 32 * 10**6, 10


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--only", metavar="TEXT", default="", help="cases whose names contain it")
    parser.add_argument("--framework", action="append", choices=ADAPTERS, help="may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="fewer rows and rounds; writes only where told to"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="default: results/<date>.csv")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw time against classes")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table into it")
    return parser


def _smaller(case: Case) -> Case:
    """Return a case of fewer rows, unless it is small; its name says so."""
    if max(run.nbytes for run in case.runs) < LIGHT:
        return case
    runs = tuple(replace(run, shape=(run.shape[0] // SMALLER, *run.shape[1:])) for run in case.runs)
    return replace(case, name=f"{case.name}, rows / {SMALLER}", runs=runs)


def _fits(case: Case) -> bool:
    free = available()
    return free is None or case.runs[0].nbytes * 1.25 < min(free, MOST)


def _chosen(cases: Sequence[Case], only: str, frameworks: list[str] | None) -> list[Case]:
    return [
        case
        for case in cases
        if only.lower() in case.name.lower() and (not frameworks or case.framework in frameworks)
    ]


def _measure(options: argparse.Namespace) -> tuple[list[Measured], list[Measured]]:
    """Return what was found of the cases and of those of the picture."""
    cases, long, longest = (
        [
            _smaller(case) if options.quick or not _fits(case) else case
            for case in _chosen(each, options.only, options.framework)
        ]
        for each in (CASES, LONG, LONGEST)
    )
    groups = [(group, FEW) for group in joined.join(long)]
    groups += [(group, ONCE) for group in joined.join(longest)]
    drawn = _chosen(PICTURE, options.only, options.framework) if options.picture else []
    if options.quick:
        drawn = [case for case in drawn if case.runs[0].nbytes < LIGHT]
    count = len(cases) + len(groups) + len(drawn)
    done: list[Measured] = []

    def tell(measured: Measured) -> None:
        done.append(measured)
        name = f"{measured.case.framework}: {measured.case.name}"
        print(f"[{len(done)}/{count}] {name} {measured.error}", file=sys.stderr, flush=True)

    found = measure(cases, QUICK if options.quick else ASKED, CORES, tell)
    for (case, group), effort in groups:
        (one,) = measure([case], effort, CORES, tell)
        found += joined.split(one, group)
    if _chosen([importing.CASE], options.only, options.framework):
        found.append(importing.measure(3 if options.quick else IMPORTS))
    return found, measure(drawn, QUICK if options.quick else DRAWN, CORES, tell)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, and return 1 where a case could not be measured."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.markdown and not table.has_markers(options.markdown):
        parser.error(f"--markdown: {options.markdown} has no {table.BEGIN} and {table.END}")
    start = time.perf_counter()
    found, drawn = _measure(options)
    found.sort(key=lambda measured: list(ADAPTERS).index(measured.case.framework))
    lines = judge.outcomes(found)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    table.show(lines, console)
    if options.csv or not options.quick:
        path = options.csv or machine.ROOT / "benchmarks" / "results" / f"{machine.today()}.csv"
        record.append(path, [*found, *drawn], CORES)
        console.print(f"written: {path}", markup=False, soft_wrap=True)
    if options.picture:
        picture.draw(options.picture, drawn)
    if options.markdown:
        table.write_markdown(options.markdown, table.markdown(lines, CORES))
    console.print(f"{time.perf_counter() - start:.0f} s")
    return int(any(measured.error for measured in [*found, *drawn]))


if __name__ == "__main__":
    sys.exit(main())
