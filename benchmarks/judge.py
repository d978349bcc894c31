"""What was asked for, what was reached, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xentropy.bench.case import Ask
from xentropy.bench.command import duration
from xentropy.bench.processes import Measured
from xentropy.bench.timing import Times

__all__ = ["Outcome", "outcomes", "reached"]


@dataclass(frozen=True)
class Outcome:
    """A line of the table; `met` is None where nothing was asked for or nothing measured."""

    framework: str
    case: str
    what: Literal["time", "memory"]
    asked: str
    reached: str
    ours: str
    base: str
    met: bool | None


def reached(measured: Measured) -> float | None:
    """Return the number that is judged, in the terms of what is asked for."""
    times = measured.times
    first = times[0] if times else None
    if first is None:
        return None
    if measured.case.ask.kind == "ms":
        return first.median * 1e3
    if measured.case.ask.kind == "even":
        pairs = zip(times, measured.case.runs, strict=True)
        each = [t.median / run.elements for t, run in pairs if t is not None]
        return max(each) / min(each)
    base = times[1] if len(times) > 1 else None
    if base is None:
        return None
    ours, theirs = first.median, base.median
    return ours / theirs if measured.case.ask.kind == "within" else theirs / ours


def _asked(ask: Ask) -> str:
    words = {
        "faster": f"≥ {ask.value:g}x faster" if ask.value != 1 else "no slower",
        "within": f"≤ {ask.value:g}x the time",
        "even": f"≤ {ask.value:g}x apart",
        "ms": f"≤ {ask.value:g} ms",
        "none": "–",
    }
    return words[ask.kind]


def _met(ask: Ask, value: float | None) -> bool | None:
    if value is None or ask.kind == "none":
        return None
    return value >= ask.value if ask.kind == "faster" else value <= ask.value


def outcomes(found: Sequence[Measured]) -> list[Outcome]:
    """Return the lines of the table: the time of each case, then its memory."""
    lines = []
    for measured in found:
        lines.append(_time(measured))
        if measured.case.memory is not None:
            lines.append(_memory(measured))
    return lines


def _time(measured: Measured) -> Outcome:
    case, value = measured.case, reached(measured)
    text = measured.error or next(filter(None, measured.missing), "–")
    if value is not None:
        text = f"{value:.3g}" + (" ms" if case.ask.kind == "ms" else "x")
    times = [_duration(t) for t in measured.times] + ["–", "–"]
    met = False if measured.error else _met(case.ask, value)
    return Outcome(
        case.framework, case.name, "time", _asked(case.ask), text, times[0], times[1], met
    )


def _duration(times: Times | None) -> str:
    return "–" if times is None else duration(times.median)


def _memory(measured: Measured) -> Outcome:
    case, most = measured.case, measured.case.memory or 0.0
    peaks = measured.peaks or [None]
    parts = [
        None if peak is None else peak / run.nbytes
        for peak, run in zip(peaks, case.runs, strict=False)
    ]
    words = ["–" if part is None else f"{part:.2%}" for part in parts] + ["–", "–"]
    met = None if parts[0] is None else parts[0] <= most
    asked = f"≤ {most:.0%} of the logits"
    return Outcome(case.framework, case.name, "memory", asked, words[0], words[0], words[1], met)
