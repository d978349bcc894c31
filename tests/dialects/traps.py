"""Where libraries disagree about the same loss: calls that show it, and what each returns.

Of a call the value on record is the original's; where original and dialect differ, the difference
is an entry of the ledger. A trap may also name calls of the grid, entries, and tests of the core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.dialects.case import Case, array

__all__ = ["TRAPS", "Seen", "Trap"]

NAN, INF = math.nan, math.inf


@dataclass(frozen=True)
class Seen:
    """A call of a dialect, and the value and gradients of the original, or the name of its error.

    Attributes
    ----------
    calls
        The dialect and the function, as ``torch.cross_entropy``.
    """

    calls: str
    args: tuple[Any, ...]
    value: Any
    gradients: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    call: Mapping[str, Any] | None = None
    dtype: str = ""
    rtol: float = 1e-4

    @property
    def dialect(self) -> str:
        return self.calls.partition(".")[0]

    def case(self, wrt: tuple[int, ...]) -> Case:
        """The call as one of the grid's."""
        function = self.calls.partition(".")[2]
        return Case(str(self), function, self.args, self.options, wrt, self.call)

    def __str__(self) -> str:
        return f"{self.calls}({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"


@dataclass(frozen=True)
class Trap:
    """One disagreement: its name, a line about it, and what shows it."""

    name: str
    about: str
    seen: tuple[Seen, ...] = ()
    cases: tuple[str, ...] = ()
    entries: tuple[str, ...] = ()
    core: bool = False


def f32(x: Any) -> Any:
    return array(x, "float32")


def f64(x: Any) -> Any:
    return array(x, "float64")


X, Y = f32([[1, 2, 3], [1, 0, -1]]), np.array([2, 0])
HOT, W = f32(np.eye(3)[Y]), f32([1, 2, 4])
ROW, LSE = f32([[0.2, 0.5, 0.3]]), 1.4076059
DEEP = f32(np.arange(24).reshape(2, 3, 4) % 5)
E, ZERO, TWO = f32([1, 2]), f32([0, 0]), f32([1, 3])
SOFTMAX, SPARSE = "softmax_cross_entropy_with_logits", "sparse_softmax_cross_entropy_with_logits"
SIGMOID, INDEX = "sigmoid_cross_entropy_with_logits", "softmax_cross_entropy_with_integer_labels"
V1 = "tensorflow.v1.losses."

TRAPS: tuple[Trap, ...] = (
    Trap(
        "argument order",
        "torch and optax take the prediction first, Keras, TensorFlow and scikit-learn the truth",
        (
            Seen("torch.binary_cross_entropy", (f32([0.25]), f32([1])), 1.3862944),
            Seen("keras.binary_crossentropy", (f32([1]), f32([0.25])), 1.3862944),
            Seen(V1 + "log_loss", (f32([1]), f32([0.25])), 1.386294),
            Seen("sklearn.log_loss", ([1], f32([0.25])), 1.3862944, options={"labels": [0, 1]}),
            Seen(f"tensorflow.{SIGMOID}", (f32([1]), f32([-2])), [2.126928]),
            Seen("optax.sigmoid_binary_cross_entropy", (f32([-2]), f32([1])), [2.126928]),
            Seen(f"tensorflow.{SPARSE}", (Y, X), [0.4076059, 0.4076059]),
            Seen(f"optax.{INDEX}", (X, Y), [0.4076059, 0.4076059]),
        ),
    ),
    Trap(
        "logits or probabilities",
        "Keras takes probabilities unless told otherwise, the others logits",
        (
            Seen("keras.categorical_crossentropy", (f32([[0, 1, 0]]), ROW), [0.6931472]),
            Seen(
                "keras.categorical_crossentropy",
                (f32([[0, 1, 0]]), ROW),
                [0.9398311],
                options={"from_logits": True},
            ),
            Seen("torch.cross_entropy", (ROW, np.array([1])), 0.9398311),
            Seen(f"optax.{INDEX}", (ROW, np.array([1])), [0.9398311]),
            Seen(f"tensorflow.{SPARSE}", (np.array([1]), ROW), [0.9398311]),
            Seen("keras.binary_crossentropy", (f32([1]), f32([0.5])), 0.6931472),
            Seen(
                "keras.binary_crossentropy",
                (f32([1]), f32([0.5])),
                0.474077,
                options={"from_logits": True},
            ),
        ),
    ),
    Trap(
        "class axis",
        "1 in torch, the last elsewhere; several at once in optax; tf.nn refuses -2",
        (
            Seen("torch.cross_entropy", (DEEP, np.ones((2, 4), int)), 1.4696300),
            Seen("torch.cross_entropy", (DEEP, np.ones((2, 3), int)), "RuntimeError"),
            Seen(
                f"optax.{INDEX}",
                (DEEP, np.array([0, 5, 7])),
                [4.738526, 3.0139399, 1.6967902],
                options={"axis": (0, 2)},
            ),
            Seen(
                f"tensorflow.{SOFTMAX}",
                (np.ones((2, 3, 4), "f") / 3, DEEP),
                "ValueError",
                options={"axis": -2},
            ),
        ),
        (
            "tensorflow-softmax_cross_entropy_with_logits-rank-3-axis-1-float32",
            "keras-categorical_crossentropy-float32 axis=1",
            "optax-softmax_cross_entropy-axis (2, 0) float32",
        ),
        ("keras.sparse_categorical_crossentropy: `axis` is not the last",),
    ),
    Trap(
        "dtypes of labels",
        "int64 and uint8 in torch, int32 and int64 in TensorFlow, any integer in optax, also "
        "floats in Keras",
        (
            Seen("torch.cross_entropy", (X, Y.astype(np.uint8)), 0.4076059),
            Seen("torch.cross_entropy", (X, Y.astype(np.int16)), "RuntimeError"),
            Seen("torch.cross_entropy", (X, Y.astype("f")), "RuntimeError"),
            Seen(f"tensorflow.{SPARSE}", (Y.astype(np.uint8), X), "ValueError"),
            Seen(f"tensorflow.{SPARSE}", (Y.astype(np.int32), X), [0.4076059, 0.4076059]),
            Seen(f"optax.{INDEX}", (X, Y.astype(np.int8)), [0.4076059, 0.4076059]),
            Seen(f"optax.{INDEX}", (X, Y > 0), "TypeError"),
            Seen(
                "keras.sparse_categorical_crossentropy",
                (Y.astype("f"), X),
                [0.4076059, 0.4076059],
                options={"from_logits": True},
            ),
        ),
        entries=("keras.sparse_categorical_crossentropy: a label is not a whole number",),
        core=True,
    ),
    Trap(
        "labels out of range",
        "an error, NaN, the loss of another class or 0",
        (
            Seen("torch.cross_entropy", (X, Y + 1), "IndexError"),
            Seen(f"tensorflow.{SPARSE}", (Y + 1, X), "ValueError"),
        ),
        entries=(
            "optax.softmax_cross_entropy_with_integer_labels: a label of -1",
            "optax.softmax_cross_entropy_with_integer_labels: a label of C or more",
            "keras.sparse_categorical_crossentropy: a label is outside [0, C)",
        ),
        core=True,
    ),
    Trap(
        "the label -100",
        "left out by torch, wrong elsewhere",
        (
            Seen("torch.cross_entropy", (X, np.array([2, -100])), 0.4076059),
            Seen(f"tensorflow.{SPARSE}", (np.array([2, -100]), X), "ValueError"),
        ),
        entries=(
            "optax.softmax_cross_entropy_with_integer_labels: a label below -C",
            "keras.sparse_categorical_crossentropy: a label is outside [0, C)",
        ),
        core=True,
    ),
    Trap(
        "the mean of nothing that counts",
        "NaN in torch, 0 in Keras and TensorFlow 1, an error in scikit-learn",
        (
            Seen("torch.cross_entropy", (X, Y * 0 - 100), NAN, (0 * X,)),
            Seen("torch.nll_loss", (X, Y * 0 - 100), NAN, (0 * X,)),
            Seen(
                "keras.SparseCategoricalCrossentropy",
                (Y * 0, f32([[0.2, 0.5, 0.3]] * 2)),
                0.0,
                options={"ignore_class": 0},
                call={},
            ),
            Seen(V1 + "softmax_cross_entropy", (HOT, X, f32([0, 0])), 0.0),
            Seen(
                V1 + "mean_squared_error",
                (E, ZERO, ZERO),
                0.0,
                options={"reduction": "weighted_mean"},
            ),
            Seen(f"optax.{INDEX}", (X, Y), [0.0, 0.0], options={"where": np.zeros((2, 3), bool)}),
            Seen(
                "sklearn.mean_squared_error", (E, E), "ValueError", options={"sample_weight": ZERO}
            ),
        ),
        entries=("torch.mse_loss: weights that sum to 0",),
        core=True,
    ),
    Trap(
        "empty batches",
        "NaN in torch, 0 in TensorFlow 1, an empty array in Keras, an error in scikit-learn",
        (
            Seen("torch.cross_entropy", (X[:0], Y[:0]), NAN),
            Seen("torch.cross_entropy", (X[:0], Y[:0]), 0.0, options={"reduction": "sum"}),
            Seen(V1 + "sparse_softmax_cross_entropy", (Y[:0], X[:0]), 0.0),
            Seen("keras.SparseCategoricalCrossentropy", (Y[:0], X[:0]), np.zeros(0), call={}),
            Seen(f"optax.{INDEX}", (X[:0], Y[:0]), np.zeros(0)),
            Seen("sklearn.mean_squared_error", (E[:0], E[:0]), "ValueError"),
        ),
        core=True,
    ),
    Trap(
        "what a weighted mean divides by",
        "the weights, the elements, the weights that are not 0",
        (
            Seen("torch.mse_loss", (E, ZERO), 3.25, options={"weight": TWO}),
            Seen("torch.l1_loss", (E, ZERO), 1.75, options={"weight": TWO}),
            Seen("torch.huber_loss", (E, ZERO), 2.5, options={"weight": TWO}),
            Seen(
                "torch.binary_cross_entropy_with_logits",
                (ZERO, ZERO),
                1.3862944,
                options={"weight": TWO},
            ),
            Seen("torch.cross_entropy", (X, Y), 0.4076059, options={"weight": W}),
            Seen("torch.cross_entropy", (X, HOT), 1.0190148, options={"weight": W}),
            Seen(V1 + "mean_squared_error", (ZERO, E, f32([0, 3])), 12.0),
            Seen(
                V1 + "mean_squared_error",
                (ZERO, E, f32([0, 3])),
                4.0,
                options={"reduction": "weighted_mean"},
            ),
            Seen(
                V1 + "mean_squared_error",
                (ZERO, E, f32([0, 3])),
                6.0,
                options={"reduction": "weighted_sum_over_batch_size"},
            ),
            Seen(
                "keras.MeanSquaredError",
                (ZERO[:, None], E[:, None]),
                6.5,
                call={"sample_weight": TWO},
            ),
            Seen(
                "keras.MeanSquaredError",
                (ZERO[:, None], E[:, None]),
                3.25,
                options={"reduction": "mean_with_sample_weight"},
                call={"sample_weight": TWO},
            ),
            Seen("sklearn.mean_squared_error", (ZERO, E), 3.25, options={"sample_weight": TWO}),
        ),
        core=True,
    ),
    Trap(
        "class weights of an index and of its one-hot row",
        "torch divides the mean of the one by the weights, of the other by the rows",
        (
            Seen("torch.cross_entropy", (X, Y, W), 0.4076059),
            Seen("torch.cross_entropy", (X, HOT, W), 1.0190148),
            Seen("torch.cross_entropy", (X, Y, W), 0.6795, options={"label_smoothing": 0.3}),
            Seen("torch.cross_entropy", (X, HOT, W), 1.6986, options={"label_smoothing": 0.3}),
        ),
        core=True,
    ),
    Trap(
        "label smoothing",
        "of all classes or of the others, inside or outside of the weights, along which axis, "
        "below 0",
        (
            Seen("torch.cross_entropy", (X, Y), 0.7076059, options={"label_smoothing": 0.3}),
            Seen("torch.cross_entropy", (X, Y), 0.4076059, options={"label_smoothing": -0.5}),
            Seen("torch.cross_entropy", (X, Y), "RuntimeError", options={"label_smoothing": 1.5}),
            Seen(V1 + "softmax_cross_entropy", (HOT, X, 1.0, 0.3), 0.7076059),
            Seen(V1 + "softmax_cross_entropy", (HOT, X, 1.0, -0.5), 0.4076059),
            Seen(V1 + "sigmoid_cross_entropy", (f32([1]), f32([2]), 1.0, 0.5), 0.626928),
            Seen("optax.smooth_labels", (HOT[:1], 0.3), [[0.1, 0.1, 0.8]]),
            Seen(
                "keras.categorical_crossentropy",
                (HOT, X),
                [0.7076059, 0.7076059],
                options={"from_logits": True, "label_smoothing": 0.3},
            ),
        ),
        entries=(
            "keras.categorical_crossentropy: label smoothing along another axis than the last",
            "keras.categorical_crossentropy: label smoothing outside [0, 1]",
            "keras.binary_crossentropy: label smoothing outside [0, 1]",
            "tensorflow.v1.losses.softmax_cross_entropy: label_smoothing above 1",
        ),
        core=True,
    ),
    Trap(
        "a logit of -inf beside the label",
        "an index does not see it, a product with a label of 0 is NaN",
        (
            Seen(
                "torch.cross_entropy",
                (f32([[0, -INF]]), np.array([0])),
                0.0,
                (f32([[0, 0]]),),
            ),
            Seen(f"tensorflow.{SPARSE}", (np.array([0]), f32([[0, -INF]])), [0.0]),
            Seen(f"optax.{INDEX}", (f32([[0, -INF]]), np.array([0])), [0.0]),
            Seen("optax.safe_softmax_cross_entropy", (f32([[0, -INF]]), f32([[1, 0]])), [0.0]),
            Seen(
                "torch.cross_entropy",
                (f32([[0, -INF]]), np.array([0])),
                INF,
                options={"label_smoothing": 0.1},
            ),
        ),
        entries=(
            "torch.cross_entropy: a logit of -inf where the target probability is 0",
            "tensorflow.softmax_cross_entropy_with_logits: a logit of -inf whose label is 0",
            "optax.softmax_cross_entropy: a logit of -inf whose label is 0",
            "keras.categorical_crossentropy: a logit is -inf where the label is 0",
        ),
        core=True,
    ),
    Trap(
        "the gradient of labels that do not sum to 1",
        "softmax - labels in TensorFlow, that of the loss elsewhere",
        (
            Seen(
                f"tensorflow.{SOFTMAX}",
                (f32([[0, 2, 0]]), X[:1]),
                [2.8152118],
                (None, [[0.0900306, -1.7552715, 0.6652410]]),
            ),
            Seen(
                "torch.cross_entropy",
                (X[:1], f32([[0, 2, 0]])),
                2.8152118,
                ([[0.1800612, -1.5105430, 1.3304819]], None),
            ),
            Seen(
                "optax.softmax_cross_entropy",
                (X[:1], f32([[0, 2, 0]])),
                [2.8152118],
                ([[0.1800612, -1.5105430, 1.3304819]], None),
            ),
        ),
        entries=("keras.categorical_crossentropy: labels of logits do not sum to 1",),
        core=True,
    ),
    Trap(
        "broadcasting of targets",
        "both ways in optax, one way in tf.nn, with a warning in torch's regression, never in "
        "torch's cross-entropy and TensorFlow 1",
        (
            Seen("torch.cross_entropy", (X, HOT[:1]), "ValueError"),
            Seen("torch.mse_loss", (X, X[0]), 3.3333333),
            Seen("torch.binary_cross_entropy", (HOT, HOT[0]), "ValueError"),
            Seen(f"tensorflow.{SOFTMAX}", (HOT[0], X), [0.4076059, 2.4076059]),
            Seen(f"tensorflow.{SOFTMAX}", (HOT, X[:1]), "ValueError"),
            Seen("optax.softmax_cross_entropy", (X, HOT[:1]), [0.4076059, 2.4076059]),
            Seen("optax.softmax_cross_entropy", (X[:1], HOT), [0.4076059, 2.4076059]),
            Seen("optax.squared_error", (X, X[:1]), "ValueError"),
            Seen("optax.log_cosh", (X, X[:1]), [[0, 0, 0], [0, 1.3250027, 3.3071882]]),
            Seen(V1 + "mean_squared_error", (X, X[:1]), "ValueError"),
            Seen("keras.mean_squared_error", (X, X[0]), [0.0, 6.6666667]),
            Seen("keras.categorical_crossentropy", (HOT[:1], X), "ValueError"),
        ),
        core=True,
    ),
    Trap(
        "reductions of regression",
        "Keras takes the mean of the last axis first; l2_loss is half of a square",
        (
            Seen("torch.mse_loss", (X, 0 * X), 16.0, options={"reduction": "sum"}),
            Seen("keras.mean_squared_error", (0 * X, X), [4.6666667, 0.6666667]),
            Seen(
                "keras.MeanSquaredError",
                (0 * X, X),
                5.3333333,
                options={"reduction": "sum"},
                call={},
            ),
            Seen("tensorflow.l2_loss", (X,), 8.0),
            Seen("optax.l2_loss", (X, 0 * X), [[0.5, 2, 4.5], [0.5, 0, 0.5]]),
            Seen("optax.squared_error", (X, 0 * X), [[1, 4, 9], [1, 0, 1]]),
        ),
    ),
    Trap(
        "probabilities of 0 and 1",
        "a logarithm of -100 in torch, a clip at 1e-7 in Keras, an addend in TensorFlow 1, the "
        "epsilon of the dtype in scikit-learn",
        (
            Seen("torch.binary_cross_entropy", (f32([0]), f32([1])), 100.0),
            Seen("keras.binary_crossentropy", (f32([1]), f32([0])), 16.118095),
            Seen("keras.binary_crossentropy", (f32([0]), f32([1])), 15.942385),
            Seen(V1 + "log_loss", (f32([1]), f32([0])), 16.118095),
            Seen(V1 + "log_loss", (f32([1]), f32([1])), -1.1e-07, rtol=0.1),
            Seen("sklearn.log_loss", ([1], f32([0])), 15.942385, options={"labels": [0, 1]}),
            Seen("sklearn.log_loss", ([1], f64([0])), 36.043653, options={"labels": [0, 1]}),
            Seen(
                "sklearn.log_loss",
                ([1], array([0], "float16")),
                6.9314718,
                options={"labels": [0, 1]},
                rtol=1e-3,
            ),
        ),
        core=True,
    ),
    Trap(
        "binary cross-entropy of far logits",
        "some backends of Keras go through a clipped probability and end near 16",
        (
            Seen(
                "keras.binary_crossentropy",
                (f32([1, 0]), f32([-1e4, 1e4])),
                1e4,
                ([5000, -5000], [-0.5, 0.5]),
                options={"from_logits": True},
            ),
            Seen("torch.binary_cross_entropy_with_logits", (f32([-1e4]), f32([1])), 1e4),
            Seen(f"tensorflow.{SIGMOID}", (f32([1]), f32([-1e4])), [1e4]),
            Seen("optax.sigmoid_binary_cross_entropy", (f32([-1e4]), f32([1])), [1e4]),
        ),
        core=True,
    ),
    Trap(
        "infinite logits of sigmoids",
        "NaN in places that differ; 0 on the side of the label here, infinity on the other",
        entries=(
            "torch.binary_cross_entropy_with_logits: infinite logits",
            "tensorflow.sigmoid_cross_entropy_with_logits: infinite logits",
            "optax.sigmoid_binary_cross_entropy: infinite logits on the right side of a label",
            "keras.binary_crossentropy: logits are infinite on the side of the label",
        ),
        core=True,
    ),
    Trap(
        "half precision",
        "sums that overflow, labels that are rounded, results that are float32 or are not",
        (
            Seen(
                "torch.cross_entropy",
                (array(X, "float16"), Y),
                0.4075,
                dtype="float16",
            ),
            Seen(
                f"tensorflow.{SPARSE}",
                (Y, array(X, "bfloat16")),
                [0.4076, 0.4076],
                dtype="bfloat16",
            ),
            Seen(f"optax.{INDEX}", (array(X, "float16"), Y), [0.4076, 0.4076], dtype="float16"),
            Seen(
                "keras.MeanSquaredError",
                (0 * X, array(X, "float16")),
                2.6666667,
                call={},
                dtype="float32",
            ),
        ),
        entries=(
            "torch.cross_entropy: a sum beyond the largest float16 on the way to a mean within it",
            "keras.SparseCategoricalCrossentropy: labels are rounded with the predictions: in "
            "bfloat16 257 is 256",
            "keras.MeanAbsoluteError: the sum of losses overflows in 16 bits",
            "tensorflow.l2_loss: float16 whose squares sum to more than 65504",
            "sklearn.mean_squared_error: squares beyond the largest float16, about 65504",
        ),
        core=True,
    ),
    Trap(
        "weights of the positive class that are larger",
        "they enlarge the result in TensorFlow, torch refuses them",
        (
            Seen(
                "tensorflow.weighted_cross_entropy_with_logits",
                (f32([1, 0]), f32([0, 0]), f32([[2], [3]])),
                [[1.3862944, 0.6931472], [2.0794415, 0.6931472]],
            ),
            Seen(
                "torch.binary_cross_entropy_with_logits",
                (f32([0, 0]), f32([1, 0])),
                "RuntimeError",
                options={"pos_weight": f32([[2], [3]])},
            ),
        ),
    ),
    Trap(
        "Huber and its relative",
        "they differ by a factor; a width of 0 or below is an error, garbage or special",
        (
            Seen(
                "torch.huber_loss",
                (E, ZERO),
                [0.375, 0.875],
                options={"delta": 0.5, "reduction": "none"},
            ),
            Seen(
                "torch.smooth_l1_loss",
                (E, ZERO),
                [0.75, 1.75],
                options={"beta": 0.5, "reduction": "none"},
            ),
            Seen("torch.smooth_l1_loss", (E, ZERO), 1.5, options={"beta": 0.0}),
            Seen("torch.smooth_l1_loss", (E, ZERO), "RuntimeError", options={"beta": -1.0}),
            Seen("torch.huber_loss", (E, ZERO), "RuntimeError", options={"delta": 0.0}),
            Seen("optax.huber_loss", (E, ZERO), [0.375, 0.875], options={"delta": 0.5}),
            Seen("keras.huber", (ZERO, E), 0.625, options={"delta": 0.5}),
            Seen(V1 + "huber_loss", (ZERO, E, 1.0, 0.5), 0.625),
        ),
        entries=(
            "optax.huber_loss: a negative `delta`",
            "keras.huber: `delta` is negative",
            "tensorflow.v1.losses.huber_loss: delta of -1",
        ),
        core=True,
    ),
    Trap(
        "Kullback-Leibler divergence",
        "the mean of elements or of rows; 0 log 0; clipped or not",
        (
            Seen(
                "torch.kl_div",
                (np.log(f32([[0.25, 0.75], [0.5, 0.5]])), f32([[0.5, 0.5], [0.5, 0.5]])),
                0.0359602,
            ),
            Seen(
                "torch.kl_div",
                (np.log(f32([[0.25, 0.75], [0.5, 0.5]])), f32([[0.5, 0.5], [0.5, 0.5]])),
                0.0719205,
                options={"reduction": "batchmean"},
            ),
            Seen(
                "optax.kl_divergence",
                (np.log(f32([[0.25, 0.75]])), f32([[0.5, 0.5]])),
                [0.143841],
            ),
            Seen("keras.kl_divergence", (f32([[0.5, 0.5]]), f32([[0, 1]])), [7.3659007]),
        ),
        entries=(
            "torch.kl_div: a target of 0 where the log-probability is -inf",
            "torch.kl_div: a log-target of -inf",
            "optax.kl_divergence: a target of 0 whose log-prediction is -inf",
            "optax.kl_divergence_with_log_targets: a log-target of -inf",
        ),
        core=True,
    ),
    Trap(
        "dtypes of results",
        "float32 of float64 in TensorFlow 1 and Keras, the wider one in torch, a number in "
        "scikit-learn",
        (
            Seen(V1 + "mean_squared_error", (f64([0]), f64([2])), 4.0, dtype="float32"),
            Seen(V1 + "softmax_cross_entropy", (f64(HOT), f64(X)), 0.40760596444, dtype="float64"),
            Seen("keras.MeanSquaredError", (f64([[0]]), f64([[2]])), 4.0, call={}, dtype="float32"),
            Seen("keras.mean_squared_error", (f64([[0]]), f64([[2]])), [4.0], dtype="float64"),
            Seen("torch.cross_entropy", (X, f64(HOT)), 0.40760596, dtype="float64"),
            Seen(
                "torch.binary_cross_entropy_with_logits",
                (f32([0]), f64([1])),
                0.6931472,
                dtype="float64",
            ),
            Seen("sklearn.mean_squared_error", (f32([0]), f32([2])), 4.0, dtype="float64"),
        ),
    ),
    Trap(
        "NaN in a row that is left out",
        "the loss is clean, the gradient of torch is not",
        entries=("torch.cross_entropy: an ignored row holds NaN or infinity",),
        core=True,
    ),
    Trap(
        "a mask that leaves out the class of the label",
        "optax returns a negative loss; that class is impossible",
        entries=(
            "optax.softmax_cross_entropy_with_integer_labels: `where` leaves out the class of the "
            "label",
        ),
        core=True,
    ),
    Trap(
        "arguments that are written to",
        "some kernels leave the gradient in the logits, and fail the second time",
        core=True,
    ),
    Trap(
        "odd numbers of classes",
        "a kernel that pads its blocks and does not mask the padding counts classes too many",
        core=True,
    ),
    Trap(
        "indices or probabilities by shape",
        "to torch a target of the shape of the input holds probabilities",
        (
            Seen("torch.cross_entropy", (X[0], np.arange(3)), "RuntimeError"),
            Seen("torch.cross_entropy", (X[0], np.array(2)), 0.4076059),
            Seen("torch.cross_entropy", (f32(np.eye(3)), np.eye(3, dtype=int)), "RuntimeError"),
            Seen("torch.cross_entropy", (DEEP[..., :3], np.ones((2, 3), int)), 1.6704785),
            Seen("torch.cross_entropy", (DEEP[..., :3], DEEP[..., :3]), 5.0291805),
        ),
    ),
    Trap(
        "the order of columns",
        "that of sorted labels in scikit-learn, in whatever order they are declared",
        (
            Seen(
                "sklearn.log_loss",
                (["b", "a"], f32([[0.5, 0.5], [0.75, 0.25]])),
                0.4904146,
                options={"labels": ["b", "a"]},
            ),
            Seen(
                "sklearn.log_loss",
                (["b", "a"], f32([[0.5, 0.5], [0.75, 0.25]])),
                0.4904146,
                options={"labels": ["a", "b"]},
            ),
        ),
    ),
    Trap(
        "names for the same idea",
        "ignore_index, ignore_class, where, weights; label_smoothing, alpha; weight, pos_weight",
        (
            Seen("torch.cross_entropy", (X, Y), 0.4076059, options={"ignore_index": 0}),
            Seen(
                "keras.SparseCategoricalCrossentropy",
                (Y, X),
                0.4076059,
                options={"ignore_class": 0, "from_logits": True},
                call={},
            ),
            Seen(V1 + "sparse_softmax_cross_entropy", (Y, X, f32([1, 0])), 0.4076059),
            Seen(
                f"optax.{INDEX}",
                (X, Y),
                [0.4076059, 0.0],
                options={"where": np.array([True, False])},
            ),
            Seen(
                "sklearn.log_loss",
                (Y, f32([[0.25, 0.25, 0.5]] * 2)),
                0.6931472,
                options={"sample_weight": [1, 0], "labels": [0, 1, 2]},
            ),
            Seen(
                "torch.binary_cross_entropy_with_logits",
                (ZERO, f32([1, 0])),
                1.0397208,
                options={"pos_weight": f32([2, 2])},
            ),
            Seen(
                "tensorflow.weighted_cross_entropy_with_logits",
                (f32([1, 0]), ZERO, 2.0),
                [1.3862944, 0.6931472],
            ),
            Seen(
                "optax.sigmoid_focal_loss",
                (ZERO, f32([1, 0])),
                [0.1299651, 0.0433217],
                options={"alpha": 0.75},
            ),
            Seen(
                "torch.sigmoid_focal_loss",
                (ZERO, f32([1, 0])),
                [0.1299651, 0.0433217],
                options={"alpha": 0.75},
            ),
        ),
        core=True,
    ),
)
