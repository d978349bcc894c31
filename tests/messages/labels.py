"""What is said about indices that name no class."""

# ruff: noqa: E501 - messages are written as they are printed.

from __future__ import annotations

import numpy as np

import xentropy

from .case import Case, cases, losses, sparse

__all__ = ["LABELS"]

LABELS: list[Case] = cases(
    xentropy.LabelError,
    [
        (
            lambda a: sparse(a(2, 5), a.of([1, 7])),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: <int64[2]>""",
        ),
        (
            lambda a: sparse(a(3, 5), a.of([-100, 0, 7], np.int8)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is -100, the first of 2.
  logits: <float32[3, 5]>
  labels: <int8[3]>
Hint: to leave out such examples pass ignore_index=-100.""",
        ),
        (
            lambda a: losses.cross_entropy(a(2, 2, 5), a.of([[0, -1], [5, -1]]), ignore_index=-1),
            """xentropy.cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1, 0] is 5.
  logits: <float32[2, 2, 5]>
  labels: <int64[2, 2]>""",
        ),
        (
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
        (
            lambda a: sparse(a(2, 5, 3), a.of([[0, 1, 5], [0, 0, 0]]), axis=1),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0, 2] is 5.
  logits: <float32[2, 5, 3]>
  labels: <int64[2, 3]>""",
        ),
        (
            lambda a: sparse(a(5), a.of(7)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is 7.
  logits: <float32[5]>
  labels: <int64[]>""",
        ),
        (
            lambda a: sparse(a(2, 5), a.of([156, 0], np.uint8), ignore_index=-100),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is 156.
  logits: <float32[2, 5]>
  labels: <uint8[2]>""",
        ),
        (
            lambda a: sparse(a(1, 3), a.of([2**64 - 1], np.uint64)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 3), or be left out; labels[0] is 18446744073709551615.
  logits: <float32[1, 3]>
  labels: <uint64[1]>""",
        ),
        (
            lambda a: losses.poly_cross_entropy(a(2, 5), [1, 7]),
            """xentropy.poly_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: list of length 2""",
        ),
        (
            lambda a: losses.softmax_focal_cross_entropy(a(2, 5), np.array([1, 7])),
            """xentropy.softmax_focal_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 7.
  logits: <float32[2, 5]>
  labels: int64[2] numpy cpu""",
        ),
        (
            lambda a: losses.sparse_categorical_cross_entropy(a(5), -3),
            """xentropy.sparse_categorical_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is -3.
  probs: <float32[5]>
  labels: -3
Hint: to leave out such examples pass ignore_index=-3.""",
        ),
        (
            lambda a: sparse(a(2, 5), [0, 2**70]),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels[1] is 1180591620717411303424.
  logits: <float32[2, 5]>
  labels: list of length 2""",
        ),
        (
            lambda a: losses.cross_entropy(a(2, 5), [-1, 2**63]),
            """xentropy.cross_entropy: `labels` must lie in [0, 5), or be left out; labels[0] is -1, the first of 2.
  logits: <float32[2, 5]>
  labels: list of length 2
Hint: to leave out such examples pass ignore_index=-1.""",
        ),
        (
            lambda a: sparse(a(5), -(2**70)),
            """xentropy.sparse_softmax_cross_entropy: `labels` must lie in [0, 5), or be left out; labels is -1180591620717411303424.
  logits: <float32[5]>
  labels: -1180591620717411303424
Hint: to leave out such examples pass ignore_index=-1180591620717411303424.""",
        ),
    ],
)
