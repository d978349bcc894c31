"""Cases of calls that take seconds: what several of them have in common is timed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xentropy.bench.case import Case, Run
from xentropy.bench.processes import Measured

__all__ = ["join", "split"]


def join(cases: Sequence[Case]) -> list[tuple[Case, list[Case]]]:
    """Return a case of all runs for each framework, and for each case that is alone, with them."""
    groups: dict[tuple[str, bool, int], list[Case]] = {}
    for case in cases:
        key = case.framework, case.numba, id(case) if case.alone else 0
        groups.setdefault(key, []).append(case)
    return [(_joined(group), group) for group in groups.values()]


def _joined(cases: Sequence[Case]) -> Case:
    runs: list[Run] = []
    for case in cases:
        runs += [run for run in case.runs if run not in runs]
    return replace(cases[0], name=_name(cases), runs=tuple(runs))


def _name(cases: Sequence[Case]) -> str:
    others = f", and {len(cases) - 1} beside it" if len(cases) > 1 else ""
    return cases[0].name + others


def split(measured: Measured, cases: Sequence[Case]) -> list[Measured]:
    """Return what was found of each of the cases that were joined."""
    known = measured.case.runs
    found = []
    for case in cases:
        one = Measured(case, about=measured.about, error=measured.error)
        for at in map(known.index, case.runs):
            one.times += measured.times[at : at + 1]
            one.peaks += measured.peaks[at : at + 1]
            one.missing += measured.missing[at : at + 1]
        found.append(one)
    return found
