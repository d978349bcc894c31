"""Which cases a run consists of: the standing sets, cast to dtypes, or the user's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from . import bulk, digits, examples, stress
from .cases import Case

__all__ = ["standing"]

_DIGITS = 100
"""So many where only mpmath knows the truth."""
_FEW = 20
_CLASSES, _FEWER_CLASSES = 131072, 4096
_BULK = tuple(loss for loss in bulk.LOSSES if loss != "cross_entropy")


def _digits(quick: bool, notes: list[str]) -> Iterator[Case]:
    try:
        features, weight, labels = digits.trained()
    except ModuleNotFoundError:
        hint = 'scikit-learn is not installed: it comes with the extra "parity"'
        notes.append(f"digits left out: {hint}")
        return
    if quick:
        features, labels = features[:_FEW], labels[:_FEW]
    known = _BULK if bulk.supported() else ()
    yield from examples.digits(features, weight, labels, _DIGITS, known)


def _all(quick: bool, notes: list[str]) -> Iterator[tuple[Case, tuple[str, ...]]]:
    plain = ("float32",) if quick else ("float32", "float64")
    for case in examples.founding():
        yield case, plain
    for case in _digits(quick, notes):
        if not quick or case.loss in examples.MAIN:
            yield case, plain
    for case in stress.rows():
        if not quick or case.loss in examples.MAIN:
            yield case, plain
    if not quick:
        for case in (*stress.options(), *stress.long_rows()):
            yield case, ("float32",)
    for case in stress.half():
        if not quick or case.loss in examples.MAIN:
            more = ("bfloat16",) if case.loss in examples.MAIN else ()
            yield case, ("float16", *more)
    yield stress.many_classes(_FEWER_CLASSES if quick else _CLASSES), plain


def standing(
    losses: tuple[str, ...], dtypes: tuple[str, ...], quick: bool
) -> tuple[list[Case], list[str]]:
    """Return the founding examples, the digits and the stress set, and what there is to say.

    Parameters
    ----------
    losses, dtypes
        What to keep; empty keeps all.
    quick
        Fewer digits and classes, and no compilers.
    """
    notes: list[str] = []
    chosen = [
        (replace(case, compiled=case.compiled and not quick), dtype)
        for case, known in _all(quick, notes)
        for dtype in known
        if (not losses or case.loss in losses) and (not dtypes or dtype in dtypes)
    ]
    return [case.cast(dtype) for case, dtype in chosen], notes
