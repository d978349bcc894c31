"""The table: one row per loss, framework, mode and dtype, over all its cases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xentropy.parity import compare
from xentropy.parity.cases import LOSSES
from xentropy.parity.comparison import Comparison
from xentropy.parity.judge import Result

__all__ = ["QUANTITIES", "Row", "failure_lines", "not_finite", "number", "rows"]

QUANTITIES = ("value", "native_value", "gradient", "native_gradient")
_BACKENDS = ("numpy", "torch", "tensorflow", "jax")
_DTYPES = ("float32", "float64", "float16", "bfloat16")


@dataclass(frozen=True)
class Row:
    """Largest and median errors in ulp by quantity; None where there is nothing to compare with.

    `partial` says that the truth is NaN or infinite somewhere: no ulp count there. `bound` is that
    of the value, the largest where it depends on options.
    """

    loss: str
    backend: str
    mode: str
    dtype: str
    cases: int
    errors: dict[str, tuple[float, float] | None]
    over: frozenset[str]  # the quantities beyond their bound
    passed: bool
    partial: bool
    bound: float

    @property
    def framework(self) -> str:
        """Return the framework and how it ran, where that is not eager."""
        return self.backend if self.mode == "eager" else f"{self.backend} {self.mode}"


def _place(known: Sequence[str], name: str) -> tuple[int, str]:
    return (known.index(name) if name in known else len(known), name)


def _order(key: tuple[str, str, str, str]) -> tuple[object, ...]:
    loss, backend, mode, dtype = key
    return (
        _place(LOSSES, loss),
        _place(_BACKENDS, backend),
        mode != "eager",
        mode,
        _place(_DTYPES, dtype),
    )


def rows(found: Comparison) -> list[Row]:
    """Return the table in the order of the losses, NumPy first."""
    groups: dict[tuple[str, str, str, str], list[Result]] = {}
    for result in found.results:
        if not result.left_out:
            key = (result.case.loss, result.backend, result.mode, result.case.dtype)
            groups.setdefault(key, []).append(result)
    return [_row(key, groups[key]) for key in sorted(groups, key=_order)]


def _row(key: tuple[str, str, str, str], results: list[Result]) -> Row:
    errors: dict[str, tuple[float, float] | None] = {}
    over = set()
    for name in QUANTITIES:
        each = [r.errors[name].each for r in results if name in r.errors]
        some = np.concatenate(each) if each else np.zeros(0)
        errors[name] = compare.summary(some) if some.size else None
    for name in ("value", "gradient"):
        if any(not r.errors[name].largest <= r.bounds[name] for r in results if name in r.errors):
            over.add(name)
    passed = all(r.passed for r in results)
    partial = any(e.finite < e.count for r in results for e in r.errors.values())
    bound = max(r.bounds["value"] for r in results)
    return Row(*key, len(results), errors, frozenset(over), passed, partial, bound)


def number(x: float | None, absent: str = "-") -> str:
    """Return at most five characters: ``0.31``, ``12.3``, ``8.4e6``, ``inf``."""
    if x is None:
        return absent
    if not math.isfinite(x):
        return "inf" if x > 0 else "nan"
    if x == 0:
        return "0"
    for limit, digits in ((9.995, 2), (99.95, 1), (9999.5, 0)):
        if x < limit:
            return f"{x:.{digits}f}"
    head, exponent = f"{x:.1e}".split("e")
    if len(head) + 1 + len(str(int(exponent))) > 5:
        head, exponent = f"{x:.0e}".split("e")
    return f"{head}e{int(exponent)}"


def not_finite(found: Comparison) -> list[str]:
    """Return one line on the numbers whose truth is not finite, if there are any."""
    first = {id(r.case): r for r in reversed(found.results) if r.errors}
    each = [r.errors[k] for r in first.values() for k in ("value", "gradient") if k in r.errors]
    count, nan = sum(e.count for e in each), sum(e.nan for e in each)
    infinite = count - nan - sum(e.finite for e in each)
    kinds = [f"{n} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n]
    if not kinds:
        return []
    return [f"* {' and '.join(kinds)} of {count} true numbers: compared by place and sign"]


def failure_lines(found: Comparison) -> list[str]:
    """Return a line per process that died and per number beyond its bound."""
    lines = [f"{name}: the process ended early, {end}" for name, end in found.crashes.items()]
    for r in found.failed:
        mode = "" if r.mode == "eager" else f" {r.mode}"
        where = f"{r.case.loss} on {r.backend}{mode}, {r.case.dtype}, {r.case.name}"
        lines += [f"{where}: {failure}" for failure in r.failures]
    return lines
