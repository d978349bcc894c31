"""The losses of sklearn.metrics: the truth comes first.

They return a Python float. Where a derivative may be asked for (`xentropy.value_and_grad`,
predictions that require a gradient, a ``tf.GradientTape``), and where values are not known yet
(under a compiler or a transform), it is a 0-d array. The derivative is that of the formula that
scikit-learn documents.

Values are checked as scikit-learn checks them, where they can be read for free: not those of
traced arrays, nor on accelerators.
"""

from __future__ import annotations

import numbers
from typing import Any

import xentropy
from xentropy import _steps as steps
from xentropy._call import Call
from xentropy.dispatch import message
from xentropy.errors import DTypeError, InputError, OptionError, ShapeError
from xentropy.formulas.averages import axis_mean, root
from xentropy.formulas.clip import clip
from xentropy.formulas.formula import Formula
from xentropy.formulas.log_error import squared_log_error
from xentropy.formulas.regression import pinball
from xentropy.validation import elementwise

from . import sklearn_checks as checks
from . import sklearn_labels as columns
from ._speech import spoken, warn

__all__ = [
    "brier_score_loss",
    "log_loss",
    "mean_absolute_error",
    "mean_pinball_loss",
    "mean_squared_error",
    "mean_squared_log_error",
    "root_mean_squared_error",
]

_spoken = spoken(
    {DTypeError: ValueError},
    probs="y_proba",
    predictions="y_pred",
    targets="y_true",
)


@_spoken
def log_loss(
    y_true: Any,
    y_proba: Any = None,
    *,
    normalize: bool = True,
    sample_weight: Any = None,
    labels: Any = None,
    y_pred: Any = "deprecated",
) -> Any:
    """``sklearn.metrics.log_loss`` of 1.9.

    Probabilities are clipped to ``[eps, 1 - eps]`` of their dtype; beyond, the gradient is 0. Where
    the values of ``y_true`` are not known, ``labels`` must be given.

    * ``y_true``: a label for each example, of any kind, or an indicator matrix.
    * ``y_proba``: of the positive class, or one column for each label in sorted order.
    * ``normalize``: whether to take the mean, not the sum.
    * ``sample_weight``: a factor for each example, which also divides a mean.
    * ``labels``: those that may occur; None is those of ``y_true``.
    * ``y_pred``: the former name of ``y_proba``.
    """
    if not (isinstance(y_pred, str) and y_pred == "deprecated"):
        if y_proba is not None:
            msg = "`y_pred` is the deprecated name of `y_proba`: give one."
            raise OptionError(message("log_loss", msg, {}))
        text = "`y_pred` was renamed to `y_proba` in 1.9 and will be removed in 1.11."
        warn(y_pred, text, FutureWarning, stacklevel=3)
        y_proba = y_pred
    call, p = checks.probabilities("log_loss", y_true, y_proba, sample_weight)
    normalize = checks.choice(call, "normalize", normalize)
    t = columns.one_hot(call, labels, 2 if p.ndim == 1 else p.shape[1])
    w = checks.weights(call, p.shape[0], divides=normalize)
    eps = checks.EPS.get(call.backend.dtype_name(p), checks.EPS["float32"])
    options = {"low": eps, "high": 1.0 - eps, "dtype": call.dtype}
    clipped = call.backend.apply(clip, (p,), options)
    if p.ndim == 2:
        losses = xentropy.categorical_cross_entropy(clipped, t)
    elif not columns.is_indicator(y_true):
        losses = xentropy.binary_cross_entropy(clipped, t[:, 1])
    else:  # whose rows may hold two ones, or none
        pair = steps.broadcast(steps.reshape(clipped, (-1, 1)), t)
        losses = xentropy.binary_cross_entropy(pair, [[0.0, 1.0]], sample_weight=t)
        losses = steps.row_sum(losses, -1)
    return checks.answer(_mean(losses, w) if normalize else _sum(losses, w), p.dtype)


@_spoken
def brier_score_loss(
    y_true: Any,
    y_proba: Any,
    *,
    sample_weight: Any = None,
    pos_label: Any = None,
    labels: Any = None,
    scale_by_half: Any = "auto",
) -> Any:
    """``sklearn.metrics.brier_score_loss`` of 1.9.

    Where the values of ``y_true`` are not known, ``labels`` must be given, or ``pos_label`` with
    probabilities of one column.

    * ``y_true``: a label for each example, or an indicator matrix.
    * ``y_proba``: of the positive class, or one column for each label in sorted order.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``pos_label``: the positive class; None is 1 or the larger.
    * ``labels``: those that may occur; None is those of ``y_true``.
    * ``scale_by_half``: whether to halve; "auto" does with fewer than three classes.
    """
    call, p = checks.probabilities("brier_score_loss", y_true, y_proba, sample_weight)
    halved = checks.choice(call, "scale_by_half", scale_by_half, "auto")
    if p.ndim == 1:
        # Of the other class the error is the same.
        factor, classes = 2.0, 2
        t = call.backend.xp.reshape(columns.positive(call, pos_label), (-1, 1))
        p = steps.reshape(p, (-1, 1))
    else:
        factor, classes = 1.0, p.shape[1]
        t = columns.one_hot(call, labels, classes)
    w = checks.weights(call, p.shape[0], divides=True)
    if halved is not False and (halved != "auto" or classes < 3):
        factor *= 0.5
    losses = steps.row_sum(xentropy.squared_error(p, t), -1, factor)
    return checks.answer(_mean(losses, w), p.dtype)


@_spoken
def mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """``sklearn.metrics.mean_squared_error`` of 1.9.

    * ``y_true``: what was observed, of shape (n,) or (n, outputs).
    * ``y_pred``: the predictions, in that shape.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``multioutput``: "uniform_average", "raw_values", or a weight for each output.
    """
    call = _Regression("mean_squared_error", y_true, y_pred, sample_weight, multioutput)
    return call.answer(xentropy.squared_error(call.x, call.t))


@_spoken
def root_mean_squared_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """``sklearn.metrics.root_mean_squared_error`` of 1.9.

    An output without any error has gradient 0.

    * ``y_true``: what was observed, of shape (n,) or (n, outputs).
    * ``y_pred``: the predictions, in that shape.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``multioutput``: "uniform_average", "raw_values", or a weight for each output.
    """
    call = _Regression("root_mean_squared_error", y_true, y_pred, sample_weight, multioutput)
    return call.answer(xentropy.squared_error(call.x, call.t), rooted=True)


@_spoken
def mean_absolute_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """``sklearn.metrics.mean_absolute_error`` of 1.9; its gradient is 0 where there is no error.

    * ``y_true``: what was observed, of shape (n,) or (n, outputs).
    * ``y_pred``: the predictions, in that shape.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``multioutput``: "uniform_average", "raw_values", or a weight for each output.
    """
    call = _Regression("mean_absolute_error", y_true, y_pred, sample_weight, multioutput)
    return call.answer(xentropy.absolute_error(call.x, call.t))


@_spoken
def mean_squared_log_error(
    y_true: Any, y_pred: Any, *, sample_weight: Any = None, multioutput: Any = "uniform_average"
) -> Any:
    """``sklearn.metrics.mean_squared_log_error`` of 1.9.

    * ``y_true``: what was observed, of shape (n,) or (n, outputs).
    * ``y_pred``: the predictions, in that shape.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``multioutput``: "uniform_average", "raw_values", or a weight for each output.
    """
    call = _Regression("mean_squared_log_error", y_true, y_pred, sample_weight, multioutput)
    call.check_above(-1.0)
    return call.answer(call.losses(squared_log_error))


@_spoken
def mean_pinball_loss(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    alpha: Any = 0.5,
    multioutput: Any = "uniform_average",
) -> Any:
    """``sklearn.metrics.mean_pinball_loss`` of 1.9; its gradient is 0 where there is no error.

    * ``y_true``: what was observed, of shape (n,) or (n, outputs).
    * ``y_pred``: the predictions, in that shape.
    * ``sample_weight``: a factor for each example, which also divides.
    * ``alpha``: the quantile, in [0, 1].
    * ``multioutput``: "uniform_average", "raw_values", or a weight for each output.
    """
    call = _Regression("mean_pinball_loss", y_true, y_pred, sample_weight, multioutput)
    if not isinstance(alpha, numbers.Real) or not 0 <= float(alpha) <= 1:
        rule = "`alpha` must be a number in [0, 1]."
        raise OptionError(message("mean_pinball_loss", rule, {"alpha": alpha}))
    return call.answer(call.losses(pinball, alpha=float(alpha)))


class _Regression:
    """A call that compares ``(n, outputs)`` numbers, checked."""

    def __init__(
        self, name: str, y_true: Any, y_pred: Any, sample_weight: Any, multioutput: Any
    ) -> None:
        given = {"y_pred": y_pred, "y_true": y_true, "sample_weight": sample_weight}
        named = multioutput is None or isinstance(multioutput, str)
        if not named:
            given["multioutput"] = multioutput
        elif multioutput not in ("raw_values", "uniform_average"):
            rule = "`multioutput` must be 'raw_values', 'uniform_average' or a list of weights."
            raise OptionError(message(name, rule, {"multioutput": multioutput}))
        call = self.call = checks.checked(name, given)
        x, t = (checks.real(call, key) for key in ("y_pred", "y_true"))
        checks.same_length(call, "y_true", t, x.shape[0])
        outputs = [1 if a.ndim == 1 else a.shape[1] for a in (x, t)]
        if outputs[0] != outputs[1]:
            call.fail(ShapeError, "`y_true` must have the outputs of `y_pred`.", "y_pred", "y_true")
        self.hosts = {"y_pred": checks.finite(call, "y_pred", x)}
        self.hosts["y_true"] = checks.finite(call, "y_true", t)
        self.dtype = checks.widest(call)
        x = steps.cast(x, self.dtype)
        call.dtype = "float64" if call.backend.dtype_name(x) == "float64" else "float32"
        self.x = steps.reshape(x, (-1, 1)) if x.ndim == 1 else x
        self.t = steps.reshape(t, (-1, 1)) if t.ndim == 1 else t
        w = checks.weights(call, x.shape[0], divides=True)
        self.weights = None if w is None else steps.reshape(w, (-1, 1))
        self.raw = named and multioutput == "raw_values"
        self.shares = None if named else checks.shares(call, "multioutput", outputs[0])

    def check_above(self, least: float) -> None:
        """Refuse what has no logarithm."""
        for name, host in self.hosts.items():
            if host is not None and not (host > least).all():
                rule = f"`{name}` must be greater than {least:g} everywhere."
                self.call.fail(InputError, rule, name)

    def losses(self, formula: Formula, **options: Any) -> Any:
        """The losses by a formula that the core has no function for."""
        call = Call(self.call.name, y_pred=self.x, y_true=self.t)
        elementwise(call, "y_true", "values")
        return call.apply(formula, **options)

    def answer(self, losses: Any, *, rooted: bool = False) -> Any:
        """Average over the examples, then over the outputs."""
        backend = self.call.backend
        options = {"dtype": backend.accumulator(losses)}
        each = backend.apply(axis_mean, (losses, self.weights), {"axis": -2, **options})
        if rooted:
            each = backend.apply(root, (each,), options)
        if self.raw:
            return steps.cast(each, self.dtype)
        return checks.answer(_mean(each, self.shares), self.dtype)


def _mean(losses: Any, weights: Any) -> Any:
    return steps.mean(losses if weights is None else steps.multiply(losses, weights), weights)


def _sum(losses: Any, weights: Any) -> Any:
    return steps.total(losses if weights is None else steps.multiply(losses, weights))
