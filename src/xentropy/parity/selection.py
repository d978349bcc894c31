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
_PLAIN = ("float32", "float64")
_HALF = ("float16", "bfloat16")
_CLASSES, _FEWER_CLASSES = 131072, 4096
_BULK = tuple(loss for loss in bulk.LOSSES if loss != "cross_entropy")


def _digits(quick: bool, notes: list[str]) -> Iterator[Case]:
    try:
        logits, labels = digits.trained()
    except ModuleNotFoundError:
        hint = "scikit-learn is not installed: pip install 'xentropy-losses[parity]'"
        notes.append(f"digits left out: {hint}")
        return
    if quick:
        logits, labels = logits[:_FEW], labels[:_FEW]
    yield from examples.digits(logits, labels, _DIGITS, _BULK if bulk.supported() else ())


def _all(quick: bool, notes: list[str]) -> Iterator[tuple[Case, tuple[str, ...]]]:
    for case in examples.founding():
        yield case, _PLAIN
    for case in _digits(quick, notes):
        yield case, _PLAIN
    for case in stress.rows():
        yield case, _PLAIN
    for case in stress.options():
        yield case, _PLAIN
    for case in stress.half():
        yield case, _HALF
    yield stress.many_classes(_FEWER_CLASSES if quick else _CLASSES), (*_PLAIN, "float16")


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
