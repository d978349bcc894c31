"""Infinities, NaN, masks, kinks: one example a row, with its exact loss and gradient."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .case import Array, narrow

__all__ = ["ERRORS", "INF", "MOST", "NAN", "TABLE", "TINY", "Row"]

INF, NAN, LOG_2, LOG_3 = np.inf, np.nan, float(np.log(2)), float(np.log(3))
TINY = 2 * float(np.exp(-40.0))
"""What is left of a probability at a margin of 40 nats over two others."""
MOST = {"float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max)}
THIRD, KEEP_2 = 1 / 3, [True, False, True]


@dataclass(frozen=True, eq=False)
class Row:
    """One example, and what its loss and gradient must be.

    Attributes
    ----------
    x
        The predictions of the example: a row for the losses of rows, a number for the others.
    label
        An index, a row, or a target; None for the normalizers.
    value, gradient
        Exact, or the float64 next to it.
    only
        The dtype in which the numbers mean what they say, if it is one.
    """

    loss: str
    x: Any
    label: Any
    value: Any
    gradient: Any
    options: dict[str, Any] = field(default_factory=dict)
    only: str = ""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Both, but for options: a compiler pays for each combination."""
        if self.only:
            return (self.only,)
        return ("float32",) if self.options else ("float32", "float64")

    def __repr__(self) -> str:
        options = "".join(f" {k}={v}" for k, v in self.options.items())
        return f"{self.loss} {self.x} {self.label}{options}"

    @property
    def first(self) -> str:
        """Name of the predictions."""
        if self.loss in ("logsumexp", "log_softmax"):
            return "x"
        if self.loss in ERRORS:
            return "predictions"
        return "probs" if self.loss in PROBS else "logits"

    @property
    def predictions(self) -> Array:
        return np.asarray(self.x, dtype=np.float64)

    def arrays(self, dtype: str) -> dict[str, Array]:
        """Return the arguments that are arrays."""
        name = "targets" if self.loss in ERRORS else "labels"
        given = {self.first: self.predictions, **({} if self.label is None else {name: self.label})}
        given |= {k: v for k, v in self.options.items() if isinstance(v, list)}
        return {k: narrow(np.asarray(v), dtype) for k, v in given.items()}

    def numbers(self) -> dict[str, Any]:
        """Return the other options."""
        return {k: v for k, v in self.options.items() if not isinstance(v, list)}


ERRORS = ("squared_error", "absolute_error", "log_cosh", "huber", "smooth_l1")
PROBS = (
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "sparse_categorical_cross_entropy",
)
ROWS = "cross_entropy"
ONE_HOT = np.eye(3).tolist()
NANS = [NAN] * 3
PLAIN: list[tuple[list[float], int, float, list[float]]] = [
    # logits, label, loss, gradient: by index and one-hot
    ([0, 0, 0], 1, LOG_3, [THIRD, -2 * THIRD, THIRD]),
    ([40, 0, 0], 0, TINY, [-TINY, TINY / 2, TINY / 2]),
    ([40, 0, 0], 1, 40, [1, -1, TINY / 2]),
    ([0, -INF, 0], 0, LOG_2, [-0.5, 0, 0.5]),
    ([0, -INF, 0], 1, INF, [0.5, -1, 0.5]),
    ([0, -INF, -INF], 0, 0, [0, 0, 0]),
    ([0, -INF, -INF], 2, INF, [1, 0, -1]),
    ([-INF, -INF, -INF], 0, NAN, NANS),
    ([INF, 0, 0], 0, NAN, NANS),
    ([INF, 0, 0], 1, NAN, NANS),
    ([INF, INF, 0], 0, NAN, NANS),
    ([INF, -INF, 0], 2, NAN, NANS),
    ([NAN, 0, 0], 0, NAN, NANS),
    ([0, NAN, 0], 0, NAN, NANS),
    ([-INF, NAN, -INF], 1, NAN, NANS),
    ([1000, -1000, -1000], 0, 0, [0, 0, 0]),
    ([1000, -1000, -1000], 1, 2000, [1, -1, 0]),
    ([88, 88, -INF], 0, LOG_2, [-0.5, 0.5, 0]),
    ([-104, -104, -104], 0, LOG_3, [-2 * THIRD, THIRD, THIRD]),
    ([-710, 710, -INF], 1, 0, [0, 0, 0]),
    ([1e-30, 0, -INF], 0, LOG_2, [-0.5, 0.5, 0]),
]


def _plain() -> list[Row]:
    rows = []
    for x, label, value, gradient in PLAIN:
        rows.append(Row("sparse_softmax_cross_entropy", x, label, value, gradient))
        rows.append(Row("softmax_cross_entropy", x, ONE_HOT[label], value, gradient))
    return rows


def _largest() -> list[Row]:
    """Up to the largest finite values, one constant more or less changes nothing."""
    rows = []
    for dtype, most in MOST.items():
        only: dict[str, Any] = {"only": dtype}
        for x, label, value, gradient in (
            ([most, most, -most], 0, LOG_2, [-0.5, 0.5, 0]),
            ([-most, -most, -most], 0, LOG_3, [-2 * THIRD, THIRD, THIRD]),
            ([most, 0, 0], 0, 0, [0, 0, 0]),
            ([most, 0, 0], 1, most, [1, -1, 0]),
            ([most, -most, 0], 1, INF, [1, -1, 0]),
        ):
            rows.append(Row(ROWS, x, label, value, gradient, **only))
        rows.append(Row("sigmoid_cross_entropy", most, 0.0, most, 1, **only))
        rows.append(Row("sigmoid_cross_entropy", -most, 1.0, most, -1, **only))
        rows.append(Row("huber", most, 0.0, most, 1, {"delta": 1.0}, **only))
        rows.append(Row("log_cosh", most, 0.0, most, 1, **only))
        rows.append(Row("absolute_error", most, -most, INF, 1, **only))
        rows.append(Row("squared_error", most, 0.0, INF, INF, **only))
    return rows


TABLE: list[Row] = [
    *_plain(),
    *_largest(),
    # Labels that are not one-hot: a 0 in the label drops an infinity, smoothing does not.
    Row(ROWS, [0, -INF, 0], [0.5, 0.0, 0.5], LOG_2, [0, 0, 0]),
    Row(ROWS, [0, -INF, 0], [0.5, 0.5, 0.0], INF, [0, -0.5, 0.5]),
    Row(ROWS, [0, -INF, 0], [0.0, 0.0, 0.0], 0, [0, 0, 0]),
    Row(ROWS, [NAN, 0, 0], [0.0, 1.0, 0.0], NAN, NANS),
    Row(ROWS, [0, -INF, 0], 0, INF, [0, -0.25, 0.25], {"label_smoothing": 0.75}),
    Row(ROWS, [0, 0], 0, LOG_2, [0, 0], {"label_smoothing": 1.0}),
    # Masks: a removed class has no probability, no smoothing and gradient 0, whatever stands there.
    *(
        row
        for rubbish in (5.0, NAN, INF, -INF)
        for row in (
            Row(ROWS, [0, rubbish, 0], 0, LOG_2, [-0.5, 0, 0.5], {"class_mask": KEEP_2}),
            Row(ROWS, [0, rubbish, 0], ONE_HOT[0], LOG_2, [-0.5, 0, 0.5], {"class_mask": KEEP_2}),
            Row(ROWS, [0, rubbish, 0], 1, INF, [0.5, 0, 0.5], {"class_mask": KEEP_2}),
            Row(ROWS, [0, rubbish, 0], ONE_HOT[1], INF, [0.5, 0, 0.5], {"class_mask": KEEP_2}),
            Row(
                ROWS,
                [0, rubbish, 0],
                0,
                LOG_2,
                [-0.25, 0, 0.25],
                {"class_mask": KEEP_2, "label_smoothing": 0.5},
            ),
            Row("logsumexp", [0, rubbish, 0], None, LOG_2, [0.5, 0, 0.5], {"where": KEEP_2}),
        )
    ),
    Row(ROWS, [0, 1, 2], 1, NAN, [0, 0, 0], {"class_mask": [False] * 3}),
    Row(ROWS, [0, 1, 2], ONE_HOT[1], NAN, [0, 0, 0], {"class_mask": [False] * 3}),
    Row(ROWS, [-INF, 1, -INF], 0, NAN, [NAN, 0, NAN], {"class_mask": KEEP_2}),
    Row(ROWS, [0, 9, 5], 0, 0, [0, 0, 0], {"class_mask": [True, False, False]}),
    # A class weight of 0 drops an infinity, and leaves no example out.
    Row(ROWS, [0, -INF, 0], 1, 0, [0, 0, 0], {"class_weight": [1.0, 0.0, 1.0]}),
    Row(ROWS, [0, -INF, 0], ONE_HOT[1], 0, [0, 0, 0], {"class_weight": [1.0, 0.0, 1.0]}),
    Row(ROWS, [0, NAN, 0], 1, NAN, NANS, {"class_weight": [1.0, 0.0, 1.0]}),
    # Left out: 0, whatever stands there.
    *(Row(ROWS, [x, 0, 0], -5, 0, [0, 0, 0], {"ignore_index": -5}) for x in (0.0, NAN, INF, -INF)),
    # One class.
    Row(ROWS, [7], 0, 0, [0]),
    Row(ROWS, [7], [1.0], 0, [0]),
    Row(ROWS, [7], [0.3], 0, [0]),
    Row(ROWS, [-INF], 0, NAN, [NAN]),
    Row("softmax_focal_cross_entropy", [7], 0, 0, [0]),
    Row("poly_cross_entropy", [7], 0, 0, [0]),
    # Focal, poly, KL.
    Row("softmax_focal_cross_entropy", [0, -INF, 0], 1, INF, [0.5, -1, 0.5]),
    Row("softmax_focal_cross_entropy", [0, -INF, -INF], 0, 0, [0, 0, 0], {"gamma": 0.5}),
    Row("softmax_focal_cross_entropy", [0, -INF, -INF], 0, 0, [0, 0, 0], {"gamma": 2.0}),
    Row("softmax_focal_cross_entropy", [0, -INF, -INF], 0, 0, [0, 0, 0], {"gamma": 0.0}),
    Row("softmax_focal_cross_entropy", [1000, -1000, -1000], 1, 2000, [1, -1, 0]),
    Row("softmax_focal_cross_entropy", [1000, -1000, -1000], 0, 0, [0, 0, 0], {"gamma": 0.5}),
    Row("softmax_focal_cross_entropy", [INF, 0, 0], 0, NAN, NANS),
    Row("poly_cross_entropy", [0, -INF, 0], 1, INF, [0.5, -1, 0.5]),
    Row("poly_cross_entropy", [0, -INF, -INF], 0, 0, [0, 0, 0]),
    Row("kl_divergence", [0, -INF, -INF], [1.0, 0.0, 0.0], 0, [0, 0, 0]),
    Row("kl_divergence", [0, -INF, -INF], [0.5, 0.5, 0.0], INF, [0.5, -0.5, 0]),
    Row("kl_divergence", [0, -INF, -INF], [0.5, 0.5, 0.0], INF, [1, -1, 0], {"temperature": 2.0}),
    Row("kl_divergence", [2, 2, 2], [0.0, 0.0, 0.0], 0, [0, 0, 0]),
    # The sigmoid, with and without a weight on the positive term.
    *(
        row
        for q in (1.0, 3.0)
        for row in (
            Row("weighted_sigmoid_cross_entropy", INF, 1.0, 0, 0, {"pos_weight": q}),
            Row("weighted_sigmoid_cross_entropy", -INF, 0.0, 0, 0, {"pos_weight": q}),
            Row("weighted_sigmoid_cross_entropy", INF, 0.0, INF, 1, {"pos_weight": q}),
            Row("weighted_sigmoid_cross_entropy", -INF, 1.0, INF, -q, {"pos_weight": q}),
            Row("weighted_sigmoid_cross_entropy", 0, 1.0, q * LOG_2, -q / 2, {"pos_weight": q}),
        )
    ),
    Row("sigmoid_cross_entropy", INF, 1.0, 0, 0),
    Row("sigmoid_cross_entropy", -INF, 0.0, 0, 0),
    Row("sigmoid_cross_entropy", INF, 0.0, INF, 1),
    Row("sigmoid_cross_entropy", -INF, 1.0, INF, -1),
    Row("sigmoid_cross_entropy", INF, 0.5, INF, 0.5),
    Row("sigmoid_cross_entropy", NAN, 1.0, NAN, NAN),
    Row("sigmoid_cross_entropy", 0, 0.0, LOG_2, 0.5),
    Row("sigmoid_cross_entropy", 1000, 0.0, 1000, 1),
    Row("sigmoid_cross_entropy", 1000, 1.0, 0, 0),
    Row("sigmoid_cross_entropy", -INF, 0.0, INF, -0.25, {"label_smoothing": 0.5}),
    Row("sigmoid_focal_cross_entropy", INF, 1.0, 0, 0),
    Row("sigmoid_focal_cross_entropy", -INF, 0.0, 0, 0),
    Row("sigmoid_focal_cross_entropy", INF, 0.0, INF, 1),
    Row("sigmoid_focal_cross_entropy", -INF, 1.0, INF, -1),
    Row("sigmoid_focal_cross_entropy", 1000, 1.0, 0, 0, {"gamma": 0.5}),
    Row("sigmoid_focal_cross_entropy", -1000, 1.0, 1000, -1, {"gamma": 0.5}),
    Row("sigmoid_focal_cross_entropy", 1000, 0.0, 1000, 1, {"gamma": 3.7}),
    Row("sigmoid_focal_cross_entropy", INF, 1.0, 0, 0, {"gamma": 0.0}),
    Row("sigmoid_focal_cross_entropy", NAN, 0.0, NAN, NAN),
    # From probabilities, exactly 0 and 1.
    Row("binary_cross_entropy", 0, 0.0, 0, 1),
    Row("binary_cross_entropy", 1, 1.0, 0, -1),
    Row("binary_cross_entropy", 0, 1.0, INF, -INF),
    Row("binary_cross_entropy", 1, 0.0, INF, INF),
    Row("binary_cross_entropy", NAN, 0.0, NAN, NAN),
    Row("binary_cross_entropy", 0, 0.0, INF, -INF, {"label_smoothing": 0.5}),
    Row("categorical_cross_entropy", [0, 1, 0], ONE_HOT[1], 0, [0, -1, 0]),
    Row("categorical_cross_entropy", [0, 1, 0], ONE_HOT[0], INF, [-INF, 0, 0]),
    Row("categorical_cross_entropy", [0, 1, 0], [0.0, 0.5, 0.0], 0, [0, -0.5, 0]),
    # NaN, and the logarithm of a negative number, are not dropped by a label of 0.
    Row("categorical_cross_entropy", [NAN, 0.5, 0.5], ONE_HOT[1], NAN, NANS),
    Row("sparse_categorical_cross_entropy", [0.5, -0.5, 1], 1, NAN, NANS),
    Row("binary_cross_entropy", 1.5, 0.5, NAN, NAN),
    # A divisor below the normal numbers, which some frameworks flush to 0.
    Row("categorical_cross_entropy", [1e-39, 1, 0], ONE_HOT[1], 0, [0, -1, 0]),
    Row("sparse_categorical_cross_entropy", [0, 1, 0], 1, 0, [0, -1, 0]),
    Row("sparse_categorical_cross_entropy", [0, 1, 0], 0, INF, [-INF, 0, 0]),
    Row("sparse_categorical_cross_entropy", [0, 1, 0], 0, 0, [0, 0, 0], {"ignore_index": 0}),
    # Kinks, infinities and NaN of the errors.
    *(Row(loss, 2, 2.0, 0, 0) for loss in ERRORS),
    Row("smooth_l1", 2, 2.0, 0, 0, {"beta": 0.0}),
    Row("smooth_l1", 3, 2.0, 1, 1, {"beta": 0.0}),
    Row("smooth_l1", 1, 2.0, 1, -1, {"beta": 0.0}),
    Row("huber", 3, 2.0, 0.5, 1, {"delta": 1.0}),
    Row("huber", 1, 2.0, 0.5, -1, {"delta": 1.0}),
    *(Row(loss, NAN, 0.0, NAN, NAN) for loss in ERRORS),
    *(Row(loss, INF, INF, NAN, NAN) for loss in ERRORS),
    Row("squared_error", -INF, 0.0, INF, -INF),
    Row("absolute_error", -INF, 0.0, INF, -1),
    Row("huber", -INF, 2.0, INF, -3, {"delta": 3.0}),
    Row("smooth_l1", -INF, 2.0, INF, -1, {"beta": 3.0}),
    Row("log_cosh", -INF, 0.0, INF, -1),
    Row("log_cosh", 1000, 0.0, 1000 - LOG_2, 1),
    # Normalizers.
    Row("logsumexp", [-INF, -INF, -INF], None, -INF, NANS),
    Row("logsumexp", [-INF, INF, 0], None, INF, NANS),
    Row("logsumexp", [INF, INF, 0], None, INF, NANS),
    Row("logsumexp", [0, NAN, INF], None, NAN, NANS),
    Row("logsumexp", [-INF, 3, -INF], None, 3, [0, 1, 0]),
    Row("logsumexp", [1, 2, 3], None, -INF, [0, 0, 0], {"where": [False] * 3}),
    Row("log_softmax", [0, -INF, 0], None, [-LOG_2, -INF, -LOG_2], [-0.5, 1, -0.5]),
    Row("log_softmax", [-INF, -INF, -INF], None, NANS, NANS),
    Row("log_softmax", [INF, 0, 0], None, NANS, NANS),
    Row("log_softmax", [NAN, 0, 0], None, NANS, NANS),
    Row("log_softmax", [0, 0, 0], None, [-LOG_3] * 3, [0, 0, 0]),
    Row("log_softmax", [1000, -1000, -INF], None, [0, -2000, -INF], [-2, 1, 1]),
]
