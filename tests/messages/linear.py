"""What is said about the arguments of a linear layer."""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

from typing import Any

import numpy as np

import xentropy

from .case import Case, Make, cases

__all__ = ["LINEAR"]

INT, BOOL = np.int64, np.bool_
CLASSES, ROWS = 50, 8


def loss(a: Make, **given: Any) -> Any:
    """The loss of right arguments but for those given."""
    usual = {"hidden": a(ROWS, 5), "weight": a(CLASSES, 5), "labels": a(ROWS, dtype=INT)}
    call: Any = xentropy.linear_cross_entropy
    return call(**{**usual, **given})


SHAPES: list[Case] = cases(
    xentropy.ShapeError,
    [
        (
            lambda a: loss(a, hidden=a()),
            """xentropy.linear_cross_entropy: `hidden` must have features along its last axis, one at least.
  hidden: <float32[]>""",
        ),
        (
            lambda a: loss(a, hidden=a(8, 0), weight=a(50, 0)),
            """xentropy.linear_cross_entropy: `hidden` must have features along its last axis, one at least.
  hidden: <float32[8, 0]>""",
        ),
        (
            lambda a: loss(a, weight=a(5, 50)),
            """xentropy.linear_cross_entropy: `weight` must be of shape (classes, features), its last axis that of `hidden`.
  hidden: <float32[8, 5]>
  weight: <float32[5, 50]>
Hint: transpose it: weight.T.""",
        ),
        (
            lambda a: loss(a, weight=a(5)),
            """xentropy.linear_cross_entropy: `weight` must be of shape (classes, features), its last axis that of `hidden`.
  hidden: <float32[8, 5]>
  weight: <float32[5]>""",
        ),
        (
            lambda a: loss(a, weight=a(0, 5)),
            """xentropy.linear_cross_entropy: `weight` must have at least one class.
  weight: <float32[0, 5]>""",
        ),
        (
            lambda a: loss(a, bias=a(8)),
            """xentropy.linear_cross_entropy: `bias` must have one entry a class, (50,).
  weight: <float32[50, 5]>
  bias: <float32[8]>""",
        ),
        (
            lambda a: loss(a, hidden=a(8, 128, 5), labels=a(8, 127, dtype=INT)),
            """xentropy.linear_cross_entropy: `labels` must have the shape of `hidden` without axis -1, (8, 128).
  hidden: <float32[8, 128, 5]>
  labels: <int64[8, 127]>
Hint: shift both or neither: hidden[:, :-1] with labels[:, 1:].""",
        ),
        (
            # No axis to pass, though that of the classes would fit.
            lambda a: loss(a, hidden=a(8, 9, 5), labels=a(8, 50, dtype=INT)),
            """xentropy.linear_cross_entropy: `labels` must have the shape of `hidden` without axis -1, (8, 9).
  hidden: <float32[8, 9, 5]>
  labels: <int64[8, 50]>""",
        ),
        (
            lambda a: loss(a, labels=a(8, 5)),
            """xentropy.linear_cross_entropy: `labels` must be 0-d or have the rank of the logits (8, 50), with every dimension equal or 1.
  hidden: <float32[8, 5]>
  weight: <float32[50, 5]>
  labels: <float32[8, 5]>""",
        ),
        (
            lambda a: loss(a, labels=0),
            """xentropy.linear_cross_entropy: `labels` must be indices with the shape of `hidden` without axis -1, or a distribution of its rank.
  hidden: <float32[8, 5]>
  labels: 0""",
        ),
        (
            lambda a: loss(a, class_mask=a(5, dtype=BOOL)),
            """xentropy.linear_cross_entropy: `class_mask` must have one entry a class, (50,), or the rank of the logits (8, 50) with every dimension equal or 1.
  hidden: <float32[8, 5]>
  weight: <float32[50, 5]>
  class_mask: <bool[5]>""",
        ),
        (
            lambda a: loss(a, class_weight=a(5)),
            """xentropy.linear_cross_entropy: `class_weight` must be 0-d or have one entry a class, (50,).
  hidden: <float32[8, 5]>
  weight: <float32[50, 5]>
  class_weight: <float32[5]>""",
        ),
        (
            lambda a: loss(a, where=a(8, 50, dtype=BOOL)),
            """xentropy.linear_cross_entropy: `where` must be 0-d or have the rank of the losses, (8,), with every dimension equal or 1.
  hidden: <float32[8, 5]>
  where: <bool[8, 50]>""",
        ),
    ],
)

DTYPES: list[Case] = cases(
    xentropy.DTypeError,
    [
        (
            lambda a: loss(a, hidden=a(8, dtype=INT), labels=a(8, 5)),
            """xentropy.linear_cross_entropy: `hidden` must be real floating.
  hidden: <int64[8]>
  labels: <float32[8, 5]>
Hint: are `hidden` and `labels` swapped? The prediction comes first.""",
        ),
        (
            lambda a: loss(a, weight=a(50, 5, dtype=INT)),
            """xentropy.linear_cross_entropy: `weight` must be real floating.
  weight: <int64[50, 5]>
Hint: cast it to a floating dtype.""",
        ),
        (
            lambda a: loss(a, bias=a(50, dtype=INT)),
            """xentropy.linear_cross_entropy: `bias` must be real floating.
  bias: <int64[50]>
Hint: cast it to a floating dtype.""",
        ),
        (
            lambda a: loss(a, weight=None),
            """xentropy.linear_cross_entropy: `weight` must be given.
  hidden: <float32[8, 5]>
  weight: None""",
        ),
        (
            lambda a: loss(a, labels=a(8)),
            """xentropy.linear_cross_entropy: `labels` must be integers, the index of a class each.
  hidden: <float32[8, 5]>
  labels: <float32[8]>
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
        ),
    ],
)

WRONG: list[Case] = cases(
    xentropy.LabelError,
    [
        (
            lambda a: loss(a, labels=a.of([0, 3, -100, 1, 50, 2, 2, 2])),
            """xentropy.linear_cross_entropy: `labels` must lie in [0, 50), or be left out; labels[2] is -100, the first of 2.
  hidden: <float32[8, 5]>
  weight: <float32[50, 5]>
  labels: <int64[8]>
Hint: to leave out such examples pass ignore_index=-100.""",
        ),
    ],
)


def option(name: str, rule: str, value: Any) -> Case:
    """An option out of its range: nothing but its value is shown."""
    text = f"xentropy.linear_cross_entropy: `{name}` must be {rule}.\n  {name}: {value!r}"
    return Case(xentropy.OptionError, lambda a: loss(a, **{name: value}), text)


RANGES: dict[str, tuple[str, tuple[Any, ...]]] = {
    "softcap": ("a positive number, or None", (0, -1.0, np.inf, np.nan, True, "a")),
    "scale": ("a finite number", (np.inf, np.nan, None, False)),
    "max_memory": ("a positive int", (0, -1, 1.5, None, True)),
    "label_smoothing": ("in [0, 1]", (2,)),
}
OPTIONS = [option(name, rule, x) for name, (rule, values) in RANGES.items() for x in values]
OPTIONS += [
    Case(
        xentropy.OptionError,
        lambda a: xentropy.linear_softmax_statistics(
            a(ROWS, 5), a(CLASSES, 5), None, outputs="entropy", scale=0.0
        ),
        "xentropy.linear_softmax_statistics: `scale` must be a finite number other than 0.\n"
        "  scale: 0.0",
    )
]

LINEAR: list[Case] = [*SHAPES, *DTYPES, *WRONG, *OPTIONS]
