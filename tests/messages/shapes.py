"""What is said about shapes that do not fit."""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

import numpy as np

import xentropy

from .case import Case, cases, losses, sparse

__all__ = ["SHAPES"]

SHAPES: list[Case] = cases(
    xentropy.ShapeError,
    [
        # The example of the specification.
        (
            lambda a: sparse(a(8, 128, 50), a(8, 127, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8, 128).
  logits: <float32[8, 128, 50]>
  labels: <int64[8, 127]>
Hint: shift both or neither: logits[:, :-1] with labels[:, 1:].""",
        ),
        (
            lambda a: losses.sparse_categorical_cross_entropy(a(8, 9, 5), a(8, 10, dtype=np.int64)),
            """xentropy.sparse_categorical_cross_entropy: `labels` must have the shape of `probs` without axis -1, (8, 9).
  probs: <float32[8, 9, 5]>
  labels: <int64[8, 10]>
Hint: shift both or neither: probs[:, :-1] with labels[:, 1:].""",
        ),
        (
            lambda a: sparse(a(8, 5), a(8, 1, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[8, 1]>
Hint: drop the last axis: labels[..., 0].""",
        ),
        (
            lambda a: sparse(a(8, 5), a(8, 5, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[8, 5]>
Hint: these are distributions: use the loss without `sparse` in its name.""",
        ),
        (
            lambda a: sparse(a(8, 5, 3), a(8, 3, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8, 5).
  logits: <float32[8, 5, 3]>
  labels: <int64[8, 3]>
Hint: are the classes on another axis? Pass axis=1.""",
        ),
        (
            lambda a: sparse(a(8, 5, 3), a(8, 5, dtype=np.int64), axis=1),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -2, (8, 3).
  logits: <float32[8, 5, 3]>
  labels: <int64[8, 5]>
Hint: are the classes on another axis? Pass axis=2.""",
        ),
        (
            lambda a: sparse(a(8, 5), a(7, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: <int64[7]>""",
        ),
        (
            lambda a: sparse(a(8, 5), 0),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (8,).
  logits: <float32[8, 5]>
  labels: 0""",
        ),
        (
            lambda a: losses.cross_entropy(a(8, 5, 3), a(8, dtype=np.int64)),
            """xentropy.cross_entropy: `labels` must be indices with the shape of `logits` without axis -1, or a distribution of its rank.
  logits: <float32[8, 5, 3]>
  labels: <int64[8]>""",
        ),
        (
            lambda a: losses.softmax_cross_entropy(a(3, 3), a(3)),
            """xentropy.softmax_cross_entropy: `labels` must be 0-d or have the rank of `logits`, with every dimension equal or 1.
  logits: <float32[3, 3]>
  labels: <float32[3]>
Hint: give it the missing axes: labels[:, None].""",
        ),
        (
            lambda a: losses.squared_error(a(8, 1), a(8)),
            """xentropy.squared_error: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[8, 1]>
  targets: <float32[8]>
Hint: give it the missing axes: targets[:, None].""",
        ),
        (
            lambda a: losses.squared_error(a(8), a(8, 1)),
            """xentropy.squared_error: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[8]>
  targets: <float32[8, 1]>
Hint: drop its last axis: targets[..., 0].""",
        ),
        (
            lambda a: losses.sigmoid_cross_entropy(a(8, 3), a(3)),
            """xentropy.sigmoid_cross_entropy: `labels` must be 0-d or have the rank of `logits`, with every dimension equal or 1.
  logits: <float32[8, 3]>
  labels: <float32[3]>
Hint: give it the missing axes: labels[None, :].""",
        ),
        (
            lambda a: losses.huber(a(3, 1), a(3, 2)),
            """xentropy.huber: `targets` must be 0-d or have the rank of `predictions`, with every dimension equal or 1.
  predictions: <float32[3, 1]>
  targets: <float32[3, 2]>""",
        ),
        (
            lambda a: losses.squared_error(a(4, 3, 2), 0.0, where=a(4, dtype=np.bool_)),
            """xentropy.squared_error: `where` must be 0-d or have the rank of the losses, (4, 3, 2), with every dimension equal or 1.
  predictions: <float32[4, 3, 2]>
  where: <bool[4]>
Hint: give it the missing axes: where[:, None, None].""",
        ),
        (
            lambda a: losses.cross_entropy(a(4, 3), [0, 1, 2, 0], sample_weight=a(4, 3)),
            """xentropy.cross_entropy: `sample_weight` must be 0-d or have the rank of the losses, (4,), with every dimension equal or 1.
  logits: <float32[4, 3]>
  sample_weight: <float32[4, 3]>""",
        ),
        (
            lambda a: losses.cross_entropy(a(4, 3), [0, 1, 2, 0], class_weight=a(4)),
            """xentropy.cross_entropy: `class_weight` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  class_weight: <float32[4]>""",
        ),
        (
            lambda a: losses.sigmoid_cross_entropy(a(4, 3), 1.0, pos_weight=a(1, 3)),
            """xentropy.sigmoid_cross_entropy: `pos_weight` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  pos_weight: <float32[1, 3]>""",
        ),
        (
            lambda a: losses.softmax_focal_cross_entropy(a(4, 3), [0] * 4, alpha=[1.0, 2.0]),
            """xentropy.softmax_focal_cross_entropy: `alpha` must be 0-d or have one entry a class, (3,).
  logits: <float32[4, 3]>
  alpha: list of length 2""",
        ),
        (
            lambda a: losses.cross_entropy(a(4, 3), [0] * 4, class_mask=a(4, dtype=np.bool_)),
            """xentropy.cross_entropy: `class_mask` must have one entry a class, (3,), or the rank of `logits` with every dimension equal or 1.
  logits: <float32[4, 3]>
  class_mask: <bool[4]>""",
        ),
        (
            lambda a: sparse(a(4, 0), [0] * 4),
            """xentropy.sparse_softmax_cross_entropy: `logits` must have at least one class.
  logits: <float32[4, 0]>""",
        ),
        (
            lambda a: losses.logsumexp(a()),
            """xentropy.logsumexp: `x` must have a class axis.
  x: <float32[]>""",
        ),
        (
            lambda a: sparse(a(2, 3), [[0], [1, 2]]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must be a regular array, not a ragged list.
  labels: list of length 2""",
        ),
        (
            lambda a: sparse([[0.0], [1.0, 2.0]], a(2, dtype=np.int64)),
            """xentropy.sparse_softmax_cross_entropy: `logits` must be a regular array, not a ragged list.
  logits: list of length 2""",
        ),
        (
            lambda a: losses.log_cosh(a(2), 0.0, reduction="mean", denominator=a(1)),
            """xentropy.log_cosh: `denominator` must be a number or a 0-d array.
  denominator: <float32[1]>""",
        ),
        (
            lambda a: losses.log_cosh(a(2), 0.0, reduction="mean", denominator=[3]),
            """xentropy.log_cosh: `denominator` must be a number or a 0-d array.
  denominator: list of length 1""",
        ),
        (
            lambda a: sparse(a(2, 5), [[0, 2**70]]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must have the shape of `logits` without axis -1, (2,).
  logits: <float32[2, 5]>
  labels: list of length 1""",
        ),
    ],
)
