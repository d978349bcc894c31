"""What is said about dtypes, and about what is no array of numbers."""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

from typing import Any

import numpy as np

import xentropy

from .case import Case, cases, losses, sparse

__all__ = ["DTYPES"]


class DataFrame:
    """An object like those of pandas."""

    def to_numpy(self) -> np.ndarray[Any, Any]:
        return np.zeros(2)


class Ragged:
    """An object like those of TensorFlow whose rows have lengths of their own."""

    def to_tensor(self) -> np.ndarray[Any, Any]:
        return np.zeros((2, 3))


class Matrix:
    """An object like no array."""


DTYPES: list[Case] = cases(
    xentropy.DTypeError,
    [
        (
            lambda a: sparse(a(8, dtype=np.int64), a(8, 5)),
            """xentropy.sparse_softmax_cross_entropy: `logits` must be real floating.
  logits: <int64[8]>
  labels: <float32[8, 5]>
Hint: are `logits` and `labels` swapped? The prediction comes first.""",
        ),
        (
            lambda a: losses.squared_error(a(3, dtype=np.int32), [0.5, 1.0, 2.0]),
            """xentropy.squared_error: `predictions` must be real floating.
  predictions: <int32[3]>
  targets: list of length 3
Hint: are `predictions` and `targets` swapped? The prediction comes first.""",
        ),
        (
            lambda a: losses.cross_entropy(a(3, 2, dtype=np.int64), [0, 1, 0]),
            """xentropy.cross_entropy: `logits` must be real floating.
  logits: <int64[3, 2]>
  labels: list of length 3
Hint: cast it to a floating dtype.""",
        ),
        (
            lambda a: losses.log_softmax(a(3, dtype=np.bool_)),
            """xentropy.log_softmax: `x` must be real floating.
  x: <bool[3]>
Hint: cast it to a floating dtype.""",
        ),
        (
            lambda a: losses.softmax_cross_entropy(a(8, 5, dtype=np.complex64), a(8, 5)),
            """xentropy.softmax_cross_entropy: `logits` must be real floating.
  logits: <complex64[8, 5]>
  labels: <float32[8, 5]>
Hint: cast it to a floating dtype.""",
        ),
        (
            lambda a: losses.softmax_cross_entropy([[1j]], a(1, 1)),
            """xentropy.softmax_cross_entropy: `logits` must be real floating.
  logits: list of length 1""",
        ),
        (
            lambda a: sparse(a(8, 5), a(8, dtype=np.bool_)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <bool[8]>
Hint: for one-hot or multi-label masks use a loss of distributions or a sigmoid loss.""",
        ),
        (
            lambda a: losses.cross_entropy(a(8, 5), a(8)),
            """xentropy.cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <float32[8]>
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
        ),
        (
            lambda a: sparse(a(2, 5), [0.0, 1.0]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[2, 5]>
  labels: list of length 2
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
        ),
        (
            lambda a: sparse(a(8, 5), a(8, 5)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[8, 5]>
  labels: <float32[8, 5]>
Hint: these are distributions: use the loss without `sparse` in its name.""",
        ),
        (
            lambda a: losses.softmax_cross_entropy(a(8, 5), a(8, 5, dtype=np.complex64)),
            """xentropy.softmax_cross_entropy: `labels` must be floating, integer or bool.
  logits: <float32[8, 5]>
  labels: <complex64[8, 5]>""",
        ),
        (
            lambda a: losses.absolute_error(a(3), 0.0, where=a(3, dtype=np.int32)),
            """xentropy.absolute_error: `where` must be bool; True keeps.
  where: <int32[3]>
Hint: pass where != 0.""",
        ),
        (
            lambda a: losses.absolute_error(a(3), 0.0, where=[1, 0, 1]),
            """xentropy.absolute_error: `where` must be bool; True keeps.
  where: list of length 3
Hint: pass numpy.asarray(where) != 0.""",
        ),
        (
            lambda a: losses.absolute_error(a(3), 0.0, where=a(3)),
            """xentropy.absolute_error: `where` must be bool; True keeps.
  where: <float32[3]>
Hint: pass weights as `sample_weight`.""",
        ),
        (
            lambda a: losses.cross_entropy(a(4, 3), [0] * 4, class_mask=a(3, dtype=np.int64)),
            """xentropy.cross_entropy: `class_mask` must be bool; True keeps.
  class_mask: <int64[3]>
Hint: pass class_mask != 0.""",
        ),
        (
            lambda a: losses.logsumexp(a(3), where=a(3, dtype=np.int64)),
            """xentropy.logsumexp: `where` must be bool; True keeps.
  where: <int64[3]>
Hint: pass where != 0.""",
        ),
        (
            lambda a: losses.squared_error(a(3), 0.0, sample_weight=a(3, dtype=np.complex64)),
            """xentropy.squared_error: `sample_weight` must be real.
  sample_weight: <complex64[3]>""",
        ),
        (
            lambda a: losses.cross_entropy(a(1, 3), [0], class_weight=a(3, dtype=np.complex64)),
            """xentropy.cross_entropy: `class_weight` must be real.
  class_weight: <complex64[3]>""",
        ),
        (
            lambda a: losses.squared_error(a(3), 0.0, reduction="mean", denominator=True),
            """xentropy.squared_error: `denominator` must be a real number.
  denominator: True""",
        ),
        (
            lambda a: sparse(a(2, 3), ["a", "b"]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: list of length 2""",
        ),
        (
            lambda a: sparse(a(2, 3), [True, 2**70]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be integers, the index of a class each.
  logits: <float32[2, 3]>
  labels: list of length 2
Hint: cast class indices to an integer dtype; distributions have the rank of the predictions.""",
        ),
        (
            lambda a: sparse(a(2, 3), ["a", 2**70]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: list of length 2""",
        ),
        (
            lambda a: sparse(a(2, 3), np.array([0, 2**70], dtype=object)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: object[2] numpy cpu""",
        ),
        (
            lambda a: sparse(a(2, 3), np.array(["a", "b"])),
            """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: str32[2] numpy cpu""",
        ),
        (
            lambda a: sparse(a(2, 3), np.array([0, None], dtype=object)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must hold real numbers.
  labels: object[2] numpy cpu""",
        ),
        (
            lambda a: losses.squared_error(a(1), np.zeros(1, "M8[s]")),
            """xentropy.squared_error: `targets` must hold real numbers.
  targets: datetime64[s][1] numpy cpu""",
        ),
        (
            lambda a: sparse(a(2, 3), None),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be given.
  logits: <float32[2, 3]>
  labels: None""",
        ),
        (
            lambda a: sparse(None, a(2, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `logits` is of a type that no backend knows.
  logits: None
Hint: pass an array of one of: FAMILIES.""",
        ),
        (
            lambda a: sparse(a(2, 3), "ab"),
            """xentropy.sparse_softmax_cross_entropy: `labels` is of a type that no backend knows.
  labels: 'ab'
Hint: pass an array of one of: FAMILIES.""",
        ),
        (
            lambda a: sparse(Matrix(), a(2, dtype=np.int64)),
            f"""xentropy.sparse_softmax_cross_entropy: `logits` is of a type that no backend knows.
  logits: {__name__}.Matrix
Hint: pass an array of one of: FAMILIES.""",
        ),
        (
            lambda a: sparse(a(2, 3), DataFrame()),
            f"""xentropy.sparse_softmax_cross_entropy: `labels` is of a type that no backend knows.
  labels: {__name__}.DataFrame
Hint: pass labels.to_numpy().""",
        ),
        (
            lambda a: sparse(Ragged(), a(2, dtype=np.int64)),
            f"""xentropy.sparse_softmax_cross_entropy: `logits` is of a type that no backend knows.
  logits: {__name__}.Ragged
Hint: pass logits.to_tensor(), and say with `where` what it fills up.""",
        ),
        (
            lambda a: losses.squared_error(a(3), 1j),
            """xentropy.squared_error: `targets` must be real.
  targets: 1j""",
        ),
        (
            lambda a: losses.cross_entropy(a(1, 3), [0], class_weight=1j),
            """xentropy.cross_entropy: `class_weight` must be real.
  class_weight: 1j""",
        ),
        (
            lambda a: losses.squared_error(1j, a(1)),
            """xentropy.squared_error: `predictions` must be real.
  predictions: 1j""",
        ),
        (
            lambda a: losses.squared_error(a(2), np.ma.masked_array([0.0, 1.0], [True, False])),
            """xentropy.squared_error: `targets` is a masked array, whose mask would be lost.
  targets: numpy.ma.MaskedArray
Hint: pass targets.data with where=~targets.mask.""",
        ),
        (
            lambda a: losses.squared_error(np.ma.masked_array([0.0, 1.0]), a(2)),
            """xentropy.squared_error: `predictions` is a masked array, whose mask would be lost.
  predictions: numpy.ma.MaskedArray
Hint: pass predictions.data with where=~predictions.mask.""",
        ),
        (
            lambda a: losses.Mean.sum([a(2), a(2)]),
            """xentropy.Mean.sum: what is added up must be Means, one at least.
  parts: list of length 2
Hint: `reduction='partial'` gives one for each part.""",
        ),
        (
            lambda a: losses.Mean.sum(a(2)),
            """xentropy.Mean.sum: what is added up must be Means, one at least.
  parts: <float32[2]>
Hint: `reduction='partial'` gives one for each part.""",
        ),
    ],
)
