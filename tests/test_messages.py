"""Errors as users read them: each message compared whole, on every backend.

In the table an array of the backend under test is written ``<float32[8, 128]>``; its name and its
device are filled in from an array of that backend.
"""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import xentropy
from tests.third_party import tiny, tiny_adapter
from xentropy import dispatch
from xentropy.dispatch import describe
from xentropy.testing import Harness

DTypeError, ShapeError = xentropy.DTypeError, xentropy.ShapeError
LabelError, OptionError = xentropy.LabelError, xentropy.OptionError
# Called as no type checker would let anybody.
losses: Any = xentropy
sparse: Any = xentropy.sparse_softmax_cross_entropy


class Make:
    """Arrays of the backend under test."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness

    def __call__(self, *shape: int, dtype: Any = np.float32) -> Any:
        return self.harness.array(np.zeros(shape, dtype))

    def of(self, values: Any, dtype: Any = np.int64) -> Any:
        return self.harness.array(np.array(values, dtype))


class Case(NamedTuple):
    """A wrong call and all that is said about it."""

    error: type[Exception]
    call: Callable[[Make], Any]
    text: str


class DataFrame:
    """An object like those of pandas."""

    def to_numpy(self) -> np.ndarray[Any, Any]:
        return np.zeros(2)


class Matrix:
    """An object like no array."""


SHAPES = [
    # The example of the specification.
    Case(
        ShapeError,
        lambda a: sparse(a(8, 128, 50), a(8, 127, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8, 128).
  logits: <float32[8, 128, 50]>
  labels: <int64[8, 127]>
Hint: shift both or neither: logits[:, :-1] with labels[:, 1:].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.sparse_categorical_cross_entropy(a(8, 9, 5), a(8, 10, dtype=np.int64)),
        """xentropy.sparse_categorical_cross_entropy: `labels` must have the shape of `probs` without axis -1, (8, 9).
  probs: <float32[8, 9, 5]>
  labels: <int64[8, 10]>
Hint: shift both or neither: probs[:, :-1] with labels[:, 1:].""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5), a(8, 1, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[8, 1]>
Hint: drop the last axis: labels[..., 0].""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5), a(8, 5, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[8, 5]>
Hint: these are distributions: use the loss without `sparse` in its name.""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5, 3), a(8, 3, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8, 5).
  logits: <float32[8, 5, 3]>
  labels: <int64[8, 3]>
Hint: are the classes on another axis? Pass axis=1.""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5, 3), a(8, 5, dtype=np.int64), axis=1),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -2, (8, 3).
  logits: <float32[8, 5, 3]>
  labels: <int64[8, 5]>
Hint: are the classes on another axis? Pass axis=2.""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5), a(7, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[7]>""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(8, 5), 0),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: 0""",
    ),
    Case(
        ShapeError,
        lambda a: losses.cross_entropy(a(8, 5, 3), a(8, dtype=np.int64)),
        """xentropy.cross_entropy: `labels` must be indices with the shape of `logits` without axis -1, or a distribution of its rank.
  logits: <float32[8, 5, 3]>
  labels: <int64[8]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.softmax_cross_entropy(a(3, 3), a(3)),
        """xentropy.softmax_cross_entropy: `labels` must be 0-d or have the rank of `logits`, with every dimension equal or 1.
  logits: <float32[3, 3]>
  labels: <float32[3]>
Hint: give it the missing axes: labels[:, None].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.squared_error(a(8, 1), a(8)),
        """xentropy.squared_error: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[8, 1]>
  targets: <float32[8]>
Hint: give it the missing axes: targets[:, None].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.squared_error(a(8), a(8, 1)),
        """xentropy.squared_error: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[8]>
  targets: <float32[8, 1]>
Hint: drop its last axis: targets[..., 0].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.sigmoid_cross_entropy(a(8, 3), a(3)),
        """xentropy.sigmoid_cross_entropy: `labels` must be 0-d or have the rank of `logits`, with every dimension equal or 1.
  logits: <float32[8, 3]>
  labels: <float32[3]>
Hint: give it the missing axes: labels[None, :].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.huber(a(3, 1), a(3, 2)),
        """xentropy.huber: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[3, 1]>
  targets: <float32[3, 2]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.squared_error(a(4, 3, 2), 0.0, where=a(4, dtype=np.bool_)),
        """xentropy.squared_error: `where` must be 0-d or have the rank of the losses, (4, 3, 2), with every dimension equal or 1.
  predictions: <float32[4, 3, 2]>
  where: <bool[4]>
Hint: give it the missing axes: where[:, None, None].""",
    ),
    Case(
        ShapeError,
        lambda a: losses.cross_entropy(a(4, 3), [0, 1, 2, 0], sample_weight=a(4, 3)),
        """xentropy.cross_entropy: `sample_weight` must be 0-d or have the rank of the losses, (4,), with every dimension equal or 1.
  logits: <float32[4, 3]>
  sample_weight: <float32[4, 3]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.cross_entropy(a(4, 3), [0, 1, 2, 0], class_weight=a(4)),
        """xentropy.cross_entropy: `class_weight` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  class_weight: <float32[4]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.sigmoid_cross_entropy(a(4, 3), 1.0, pos_weight=a(1, 3)),
        """xentropy.sigmoid_cross_entropy: `pos_weight` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  pos_weight: <float32[1, 3]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.softmax_focal_cross_entropy(a(4, 3), [0] * 4, alpha=[1.0, 2.0]),
        """xentropy.softmax_focal_cross_entropy: `alpha` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  alpha: list of length 2""",
    ),
    Case(
        ShapeError,
        lambda a: losses.cross_entropy(a(4, 3), [0] * 4, class_mask=a(4, dtype=np.bool_)),
        """xentropy.cross_entropy: `class_mask` must have one entry a class, (3,), or the rank of `logits` with every dimension equal or 1.
  logits: <float32[4, 3]>
  class_mask: <bool[4]>""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(4, 0), [0] * 4),
        """xentropy.sparse_softmax_cross_entropy: `logits` must have at least one class.
  logits: <float32[4, 0]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.logsumexp(a()),
        """xentropy.logsumexp: `x` must have a class axis.
  x: <float32[]>""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(2, 3), [[0], [1, 2]]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be a regular array, not a ragged list.
  labels: list of length 2""",
    ),
    Case(
        ShapeError,
        lambda a: sparse([[0.0], [1.0, 2.0]], a(2, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `logits` must be a regular array, not a ragged list.
  logits: list of length 2""",
    ),
    Case(
        ShapeError,
        lambda a: losses.log_cosh(a(2), 0.0, reduction="mean", denominator=a(1)),
        """xentropy.log_cosh: `denominator` must be a number or a 0-d array.
  denominator: <float32[1]>""",
    ),
    Case(
        ShapeError,
        lambda a: losses.log_cosh(a(2), 0.0, reduction="mean", denominator=[3]),
        """xentropy.log_cosh: `denominator` must be a number or a 0-d array.
  denominator: list of length 1""",
    ),
]

DTYPES = [
    Case(
        DTypeError,
        lambda a: sparse(a(8, dtype=np.int64), a(8, 5)),
        """xentropy.sparse_softmax_cross_entropy: `logits` must be real floating.
  logits: <int64[8]>
  labels: <float32[8, 5]>
Hint: are `logits` and `labels` swapped? The prediction comes first.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(3, dtype=np.int32), [0.5, 1.0, 2.0]),
        """xentropy.squared_error: `predictions` must be real floating.
  predictions: <int32[3]>
  targets: list of length 3
Hint: are `predictions` and `targets` swapped? The prediction comes first.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.cross_entropy(a(3, 2, dtype=np.int64), [0, 1, 0]),
        """xentropy.cross_entropy: `logits` must be real floating.
  logits: <int64[3, 2]>
  labels: list of length 3
Hint: cast it to a floating dtype.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.log_softmax(a(3, dtype=np.bool_)),
        """xentropy.log_softmax: `x` must be real floating.
  x: <bool[3]>
Hint: cast it to a floating dtype.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.softmax_cross_entropy(a(8, 5, dtype=np.complex64), a(8, 5)),
        """xentropy.softmax_cross_entropy: `logits` must be real floating.
  logits: <complex64[8, 5]>
  labels: <float32[8, 5]>
Hint: cast it to a floating dtype.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.softmax_cross_entropy([[1j]], a(1, 1)),
        """xentropy.softmax_cross_entropy: `logits` must be real floating.
  logits: list of length 1""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(8, 5), a(8, dtype=np.bool_)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <bool[8]>
Hint: for one-hot or multi-label masks use a loss of distributions or a sigmoid loss.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.cross_entropy(a(8, 5), a(8)),
        """xentropy.cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <float32[8]>
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 5), [0.0, 1.0]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[2, 5]>
  labels: list of length 2
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(8, 5), a(8, 5)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <float32[8, 5]>
Hint: these are distributions: use the loss without `sparse` in its name.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.softmax_cross_entropy(a(8, 5), a(8, 5, dtype=np.complex64)),
        """xentropy.softmax_cross_entropy: `labels` must be floating, integer or bool.
  logits: <float32[8, 5]>
  labels: <complex64[8, 5]>""",
    ),
    Case(
        DTypeError,
        lambda a: losses.absolute_error(a(3), 0.0, where=a(3, dtype=np.int32)),
        """xentropy.absolute_error: `where` must be bool; True keeps.
  where: <int32[3]>
Hint: pass where != 0.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.absolute_error(a(3), 0.0, where=[1, 0, 1]),
        """xentropy.absolute_error: `where` must be bool; True keeps.
  where: list of length 3
Hint: pass numpy.asarray(where) != 0.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.absolute_error(a(3), 0.0, where=a(3)),
        """xentropy.absolute_error: `where` must be bool; True keeps.
  where: <float32[3]>
Hint: pass weights as `sample_weight`.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.cross_entropy(a(4, 3), [0] * 4, class_mask=a(3, dtype=np.int64)),
        """xentropy.cross_entropy: `class_mask` must be bool; True keeps.
  class_mask: <int64[3]>
Hint: pass class_mask != 0.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.logsumexp(a(3), where=a(3, dtype=np.int64)),
        """xentropy.logsumexp: `where` must be bool; True keeps.
  where: <int64[3]>
Hint: pass where != 0.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(3), 0.0, sample_weight=a(3, dtype=np.complex64)),
        """xentropy.squared_error: `sample_weight` must be real.
  sample_weight: <complex64[3]>""",
    ),
    Case(
        DTypeError,
        lambda a: losses.cross_entropy(a(1, 3), [0], class_weight=a(3, dtype=np.complex64)),
        """xentropy.cross_entropy: `class_weight` must be real.
  class_weight: <complex64[3]>""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(3), 0.0, reduction="mean", denominator=True),
        """xentropy.squared_error: `denominator` must be a real number.
  denominator: True""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), ["a", "b"]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: list of length 2""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), [True, 2**70]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[2, 3]>
  labels: list of length 2
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), ["a", 2**70]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: list of length 2""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), np.array([0, 2**70], dtype=object)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: object[2] numpy cpu""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), np.array(["a", "b"])),
        """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: str32[2] numpy cpu""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), np.array([0, None], dtype=object)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: object[2] numpy cpu""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(1), np.zeros(1, "M8[s]")),
        """xentropy.squared_error: `targets` must hold real numbers.
  targets: datetime64[s][1] numpy cpu""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), None),
        """xentropy.sparse_softmax_cross_entropy: `labels` must be given.
  logits: <float32[2, 3]>
  labels: None""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(None, a(2, dtype=np.int64)),
        """xentropy.sparse_softmax_cross_entropy: `logits` is of a type that no backend knows.
  logits: None
Hint: pass an array of one of: FAMILIES.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), "ab"),
        """xentropy.sparse_softmax_cross_entropy: `labels` is of a type that no backend knows.
  labels: 'ab'
Hint: pass an array of one of: FAMILIES.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(Matrix(), a(2, dtype=np.int64)),
        f"""xentropy.sparse_softmax_cross_entropy: `logits` is of a type that no backend knows.
  logits: {__name__}.Matrix
Hint: pass an array of one of: FAMILIES.""",
    ),
    Case(
        DTypeError,
        lambda a: sparse(a(2, 3), DataFrame()),
        f"""xentropy.sparse_softmax_cross_entropy: `labels` is of a type that no backend knows.
  labels: {__name__}.DataFrame
Hint: pass labels.to_numpy().""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(3), 1j),
        """xentropy.squared_error: `targets` must be real.
  targets: 1j""",
    ),
    Case(
        DTypeError,
        lambda a: losses.cross_entropy(a(1, 3), [0], class_weight=1j),
        """xentropy.cross_entropy: `class_weight` must be real.
  class_weight: 1j""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(1j, a(1)),
        """xentropy.squared_error: `predictions` must be real.
  predictions: 1j""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(a(2), np.ma.masked_array([0.0, 1.0], [True, False])),
        """xentropy.squared_error: `targets` is a masked array, whose mask would be lost.
  targets: numpy.ma.MaskedArray
Hint: pass targets.data with where=~targets.mask.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.squared_error(np.ma.masked_array([0.0, 1.0]), a(2)),
        """xentropy.squared_error: `predictions` is a masked array, whose mask would be lost.
  predictions: numpy.ma.MaskedArray
Hint: pass predictions.data with where=~predictions.mask.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.Mean.sum([a(2), a(2)]),
        """xentropy.Mean.sum: what is added up must be Means, one at least.
  parts: list of length 2
Hint: `reduction='partial'` gives one for each part.""",
    ),
    Case(
        DTypeError,
        lambda a: losses.Mean.sum(a(2)),
        """xentropy.Mean.sum: what is added up must be Means, one at least.
  parts: <float32[2]>
Hint: `reduction='partial'` gives one for each part.""",
    ),
]

LABELS = [
    Case(
        LabelError,
        lambda a: sparse(a(2, 5), a.of([1, 7])),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: <int64[2]>""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(3, 5), a.of([-100, 0, 7], np.int8)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is -100, the first of 2.
  logits: <float32[3, 5]>
  labels: <int8[3]>
Hint: to leave out such examples pass ignore_index=-100.""",
    ),
    Case(
        LabelError,
        lambda a: losses.cross_entropy(a(2, 2, 5), a.of([[0, -1], [5, -1]]), ignore_index=-1),
        """xentropy.cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1, 0] is 5.
  logits: <float32[2, 2, 5]>
  labels: <int64[2, 2]>""",
    ),
    Case(
        LabelError,
        lambda a: losses.cross_entropy(
            a(4, 5),
            a.of([9, 8, 7, 6]),
            where=a.of([False, True, True, True], np.bool_),
            sample_weight=a.of([1.0, 0.0, 1.0, 1.0], np.float32),
        ),
        """xentropy.cross_entropy: `labels` must lie in [0, 5), or be left out; labels[2] is 7, the first of 2.
  logits: <float32[4, 5]>
  labels: <int64[4]>""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(2, 5, 3), a.of([[0, 1, 5], [0, 0, 0]]), axis=1),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0, 2] is 5.
  logits: <float32[2, 5, 3]>
  labels: <int64[2, 3]>""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(5), a.of(7)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is 7.
  logits: <float32[5]>
  labels: <int64[]>""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(2, 5), a.of([156, 0], np.uint8), ignore_index=-100),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is 156.
  logits: <float32[2, 5]>
  labels: <uint8[2]>""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(1, 3), a.of([2**64 - 1], np.uint64)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 3), or be left out; labels[0] is 18446744073709551615.
  logits: <float32[1, 3]>
  labels: <uint64[1]>""",
    ),
    Case(
        LabelError,
        lambda a: losses.poly_cross_entropy(a(2, 5), [1, 7]),
        """xentropy.poly_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: list of length 2""",
    ),
    Case(
        LabelError,
        lambda a: losses.softmax_focal_cross_entropy(a(2, 5), np.array([1, 7])),
        """xentropy.softmax_focal_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: int64[2] numpy cpu""",
    ),
    Case(
        LabelError,
        lambda a: losses.sparse_categorical_cross_entropy(a(5), -3),
        """xentropy.sparse_categorical_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is -3.
  probs: <float32[5]>
  labels: -3
Hint: to leave out such examples pass ignore_index=-3.""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(2, 5), [0, 2**70]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 1180591620717411303424.
  logits: <float32[2, 5]>
  labels: list of length 2""",
    ),
    Case(
        LabelError,
        lambda a: losses.cross_entropy(a(2, 5), [-1, 2**63]),
        """xentropy.cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is -1, the first of 2.
  logits: <float32[2, 5]>
  labels: list of length 2
Hint: to leave out such examples pass ignore_index=-1.""",
    ),
    Case(
        LabelError,
        lambda a: sparse(a(5), -(2**70)),
        """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is -1180591620717411303424.
  logits: <float32[5]>
  labels: -1180591620717411303424
Hint: to leave out such examples pass ignore_index=-1180591620717411303424.""",
    ),
    Case(
        ShapeError,
        lambda a: sparse(a(2, 5), [[0, 2**70]]),
        """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (2,).
  logits: <float32[2, 5]>
  labels: list of length 1""",
    ),
]


def calling(loss: Any, *shape: int, **options: Any) -> Callable[[Make], Any]:
    """A loss of two arrays of a shape, with options."""
    return lambda a: loss(a(*shape), a(*shape), **options)


def option(name: str, rule: str, value: Any, call: Callable[..., Any], hint: str = "") -> Case:
    """A numeric option out of its range: nothing but its value is shown."""
    text = f"xentropy.{call.__name__}: `{name}` must be {rule}.\n  {name}: "
    text += f"{value!r}" + (f"\nHint: {hint}" if hint else "")

    return Case(OptionError, calling(call, 2, 3, **{name: value}), text)


NAN, INF = float("nan"), float("inf")
REDUCTIONS = "'none', 'sum', 'mean', 'partial'"
OPTIONS = [
    *(
        option("label_smoothing", "in [0, 1]", value, call)
        for value in (-0.1, 1.1, NAN, True, "a", None, 1.0000000001)
        for call in (xentropy.softmax_cross_entropy, xentropy.sigmoid_cross_entropy)
    ),
    *(
        option("z_loss", "a finite number", value, xentropy.cross_entropy)
        for value in (NAN, INF, -INF, True, 10**400, 1j)
    ),
    option("z_loss", "a finite number", 1e300, xentropy.cross_entropy, "in float32 it is inf."),
    *(
        option("epsilon", "a finite number", value, xentropy.poly_cross_entropy)
        for value in (NAN, INF, False, None)
    ),
    *(
        option("delta", "a finite number > 0", value, xentropy.huber)
        for value in (0, 0.0, -1.0, NAN, INF, True)
    ),
    option("delta", "a finite number > 0", 1e-60, xentropy.huber, "in float32 it is 0.0."),
    *(
        option("beta", "a finite number >= 0", value, xentropy.smooth_l1)
        for value in (-1.0, NAN, INF, True)
    ),
    *(
        option("temperature", "a finite number > 0", value, xentropy.kl_divergence)
        for value in (0, -2.0, NAN, INF, True)
    ),
    *(
        option("gamma", "a finite number >= 0", value, call)
        for value in (-1.0, NAN, INF, True)
        for call in (xentropy.sigmoid_focal_cross_entropy, xentropy.softmax_focal_cross_entropy)
    ),
    *(
        option("ignore_index", "an int", value, call)
        for value in (1.0, True, "a")
        for call in (xentropy.cross_entropy, xentropy.softmax_focal_cross_entropy)
    ),
    *(
        Case(
            OptionError,
            lambda a, value=value: xentropy.logsumexp(a(2, 3), keepdims=value),  # type: ignore[misc]
            f"xentropy.logsumexp: `keepdims` must be True or False.\n  keepdims: {value!r}",
        )
        for value in (1, 2.5, None)
    ),
    *(
        Case(
            OptionError,
            calling(losses.softmax_cross_entropy, 2, 3, axis=axis),
            "xentropy.softmax_cross_entropy: `axis` must be an int in [-2, 2).\n"
            f"  axis: {axis!r}\n  logits: <float32[2, 3]>",
        )
        for axis in (2, -3, 1.0, True, None, "a")
    ),
    *(
        Case(
            OptionError,
            calling(losses.squared_error, 2, reduction=given),
            f"xentropy.squared_error: `reduction` must be one of {REDUCTIONS}.\n"
            f"  reduction: {shown}{hint}",
        )
        for given, shown, hint in [
            ("men", "'men'", "\nHint: did you mean 'mean'?"),
            ("SUM", "'SUM'", "\nHint: did you mean 'sum'?"),
            (None, "None", "\nHint: did you mean 'none'?"),
            ("batchmean", "'batchmean'", "\nHint: did you mean 'mean'?"),
            (["mean"], "list of length 1", "\nHint: did you mean 'mean'?"),
            (True, "True", ""),
            (np.zeros(2), "float64[2] numpy cpu", ""),
        ]
    ),
    *(
        Case(
            OptionError,
            calling(losses.squared_error, 2, reduction=mode, denominator=3.0),
            "xentropy.squared_error: `denominator` goes with reduction='mean'.\n"
            f"  reduction: {mode!r}\n  denominator: 3.0",
        )
        for mode in ("none", "sum", "partial")
    ),
    Case(
        OptionError,
        lambda a: losses.weighted_sigmoid_cross_entropy(a(2), a(2), None),
        """xentropy.weighted_sigmoid_cross_entropy: `pos_weight` must be given.
  pos_weight: None
Hint: without a weight call sigmoid_cross_entropy.""",
    ),
    option("label_smoothing", "in [0, 1]", np.zeros(1), xentropy.cross_entropy)._replace(
        text="xentropy.cross_entropy: `label_smoothing` must be in [0, 1].\n"
        "  label_smoothing: float64[1] numpy cpu"
    ),
]


def filled(harness: Harness, text: str) -> str:
    """The text with the arrays as they are described on the backend under test."""
    place = describe(harness.array(np.zeros(1, np.float32))).partition("]")[2]
    text = text.replace("FAMILIES", ", ".join(sorted(dispatch.installed_backends())))
    return re.sub(r"<(.*?\])>", lambda found: found[1] + place, text)


def name(case: Case) -> str:
    rule = case.text.partition(": ")[2].partition("\n")[0]
    return re.sub(r"[^a-z0-9_]+", "-", rule.lower())[:40]


@pytest.mark.parametrize("case", SHAPES + DTYPES + LABELS + OPTIONS, ids=name)
def test_the_whole_message(harness: Harness, case: Case) -> None:
    with pytest.raises(case.error) as caught:
        case.call(Make(harness))
    assert str(caught.value) == filled(harness, case.text)
    assert type(caught.value) is case.error
    assert isinstance(caught.value, xentropy.XentropyError)
    # No second traceback for the reader.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A second family, registered for one test."""
    monkeypatch.setattr(dispatch, "_registered", {})
    xentropy.register_backend(tiny.__name__, tiny_adapter.backend)
    yield tiny.Array
    dispatch._by_type.clear()


def test_another_family(harness: Harness, other: Any) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), other(np.array([0, 1]))
    with pytest.raises(xentropy.MixedBackendError) as caught:
        sparse(x, labels)
    assert str(caught.value) == filled(
        harness,
        f"""xentropy.sparse_softmax_cross_entropy: `labels` must be of the family of `logits`, {xentropy.backend_of(x).name}.
  logits: <float32[2, 3]>
  labels: int64[2] tiny
Hint: convert one; only numbers, lists and NumPy arrays follow the predictions.""",
    )


def test_numpy_predictions_and_another_family(other: Any) -> None:
    with pytest.raises(xentropy.MixedBackendError) as caught:
        xentropy.squared_error(np.zeros(2), 0.0, where=other(np.array([True, False])))
    assert (
        str(caught.value)
        == """xentropy.squared_error: `where` must be of the family of `predictions`, numpy.
  predictions: float64[2] numpy cpu
  where: bool[2] tiny
Hint: convert one; only numbers, lists and NumPy arrays follow the predictions."""
    )


def test_another_device(harness: Harness) -> None:
    x = harness.array(np.zeros(2, np.float32))
    away = harness.elsewhere(x)
    if away is None:
        pytest.skip("one device: no harness can make a second, see `Harness.elsewhere`")
    home = xentropy.backend_of(x).device(x)
    with pytest.raises(xentropy.MixedBackendError) as caught:
        xentropy.squared_error(x, x, sample_weight=away)
    assert str(caught.value) == (
        f"xentropy.squared_error: `sample_weight` must lie on the device of `predictions`, {home}.\n"
        f"  predictions: {describe(x)}\n  sample_weight: {describe(away)}\nHint: move one of them."
    )


def test_layouts_that_no_formula_reads(harness: Harness) -> None:
    x = harness.array(np.ones((2, 3), np.float32))
    if not harness.layouts(x):
        pytest.skip("arrays have one layout: `Harness.layouts`")
    padded = "pass its to_padded_tensor(0.0), and as `where` what is no padding."
    for name, odd in harness.layouts(x).items():
        hint = padded if "nested" in name else "pass its to_dense()."
        for given in ({"predictions": odd, "targets": 0.0}, {"predictions": x, "targets": odd}):
            with pytest.raises(xentropy.UnsupportedError) as caught:
                losses.squared_error(**given, reduction="mean")
            which = "targets" if given["targets"] is odd else "predictions"
            assert str(caught.value) == (
                f"xentropy.squared_error: `{which}` must be a dense tensor, not "
                f"{name.partition(' (')[0]}.\n  {which}: {describe(odd)}\nHint: {hint}"
            )


@pytest.mark.parametrize("dtype", ["longdouble", "float4_e2m1fn", "float6_e2m3fn"])
def test_predictions_of_another_float_dtype(dtype: str) -> None:
    kind = np.dtype(getattr(ml_dtypes, dtype, None) or dtype)
    with pytest.raises(DTypeError) as caught:
        xentropy.squared_error(np.zeros(2, kind), 0.0)
    assert str(caught.value) == (
        "xentropy.squared_error: `predictions` must be real floating.\n"
        f"  predictions: {kind.name}[2] numpy cpu\n  targets: 0.0\nHint: cast it to float64."
    )


def test_a_type_that_no_backend_knows() -> None:
    with pytest.raises(DTypeError) as caught:
        xentropy.backend_of(Matrix())
    families = ", ".join(sorted(dispatch.installed_backends()))
    assert str(caught.value) == (
        f"xentropy: no backend knows {__name__}.Matrix.\nHint: pass an array of one of: {families}."
    )
    with pytest.raises(DTypeError) as caught:
        xentropy.backend_of(np.ma.masked_array([1.0]))
    assert str(caught.value) == (
        "xentropy: no backend knows numpy.ma.MaskedArray.\nHint: pass its data, with where=~a.mask."
    )


BUILTINS = {
    "ShapeError": ValueError,
    "DTypeError": TypeError,
    "LabelError": (ValueError, IndexError),
    "InputError": ValueError,
    "MixedBackendError": TypeError,
    "OptionError": ValueError,
    "UnsupportedError": NotImplementedError,
}


def test_every_error_is_a_builtin_too() -> None:
    errors = {
        key: value
        for key, value in vars(xentropy).items()
        if isinstance(value, type) and issubclass(value, Exception)
    }
    assert set(errors) == {"XentropyError", *BUILTINS}
    for key, builtins in BUILTINS.items():
        for builtin in builtins if isinstance(builtins, tuple) else (builtins,):
            assert issubclass(errors[key], builtin)
        assert issubclass(errors[key], xentropy.XentropyError)


def test_wrong_labels_are_named_where_only_derivatives_are_taken(harness: Harness) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 3]))
    with pytest.raises(LabelError, match=r"labels\[1\] is 3"):
        xentropy.value_and_grad(sparse)(x, labels, reduction="mean")


@pytest.mark.parametrize(
    "left_out", [{"where": [True, False]}, {"sample_weight": [1.0, 0.0]}, {"ignore_index": 99}]
)
def test_wrong_labels_that_are_left_out_are_no_error(
    harness: Harness, left_out: dict[str, Any]
) -> None:
    x, labels = harness.array(np.zeros((2, 3), np.float32)), harness.array(np.array([0, 99]))
    losses = harness.numpy(sparse(x, labels, **left_out))
    assert losses[1] == 0.0
    assert losses[0] > 1.0
