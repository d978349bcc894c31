"""Cross-entropies of probabilities."""

from __future__ import annotations

from typing import Any

from xentropy._call import Call
from xentropy._options import smoothing
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import probability as formulas
from xentropy.reduction import reduce
from xentropy.validation import elementwise, rows

__all__ = [
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "sparse_categorical_cross_entropy",
]


def binary_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Binary cross-entropy in nats from probabilities, one loss per element.

    With ``t`` the labels after smoothing it is ::

        -t * log(probs) - (1 - t) * log(1 - probs)

    Parameters
    ----------
    probs : array, float, any shape
        The predicted probability of each label being 1.
    labels : array, float, int or bool, shape of ``probs`` or 1 along any axis, or ()
        The probability of each label, usually 0 or 1.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / 2``.
    sample_weight : array, real, shape of ``probs`` or 1 along any axis, or (), optional
        A factor for each element; it also enters the denominator of the mean.
    where : array, bool, shaped like ``sample_weight``, optional
        True keeps. The other elements are left out.
    reduction : {"none", "sum", "mean", "partial"}, default "none"
        The losses, their sum, the sum divided by the sum of the weights, or both as a `Mean`.
    denominator : number or 0-d array, optional
        Divides the sum in the place of the weights; only with ``reduction="mean"``.

    Returns
    -------
    array or Mean
        The losses in the shape of ``probs``, or their reduction, shape (). Computed and returned in
        float32, in float64 if ``probs`` are; sums in float64 where the device has it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``probs`` are not floating, ``labels`` not real or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sigmoid_cross_entropy : The same from logits, where no digit of ``1 - p`` is lost.
    categorical_cross_entropy : More than two classes.

    Notes
    -----
    Nothing is clipped. A probability of exactly 0 or 1 has loss 0 on the right side of a hard label
    (``0 log 0 = 0``) and +inf on the wrong side, where its gradient is infinite too. Probabilities
    outside [0, 1] are not checked outside `strict`.

    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    The gradient is ``(1 - t) / (1 - probs) - t / probs``.

    Elsewhere a probability of 0 for label 1 costs

    * 100 in ``torch.nn.functional.binary_cross_entropy``, which clamps the logarithm; its labels
      must be floating, its default is the mean,
    * 16.1 in ``keras.losses.binary_crossentropy``, which clips to [1e-7, 1 - 1e-7] and returns the
      mean over the last axis, and in ``tf.compat.v1.losses.log_loss``, which adds 1e-7,
    * 36.0 or 15.9 in ``sklearn.metrics.log_loss``, which clips to the epsilon of float64 or
      float32.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.binary_cross_entropy(np.array([0.9, 0.9, 0.0]), np.array([1, 0, 0]))
    array([0.10536052, 2.30258509, 0.        ])
    >>> xentropy.binary_cross_entropy(np.array([0.0]), 1)
    array([inf])
    """
    call = Call(
        "binary_cross_entropy",
        probs=probs,
        labels=labels,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "labels", "binary")
    losses = call.apply(formulas.binary, smoothing=smoothing(call, label_smoothing))
    return reduce(call, losses)


def categorical_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    axis: int = -1,
    class_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Cross-entropy in nats of probabilities against a distribution over the classes, per example.

    With ``t`` the labels after smoothing it is ::

        -sum_c class_weight[c] * t[c] * log(probs[c])

    Parameters
    ----------
    probs : array, float, shape (..., C)
        The predicted probability of each class, along ``axis``.
    labels : array, float, int or bool, shape of ``probs`` or 1 along any axis, or ()
        The probability of each class. They need not sum to 1.
    axis : int, default -1
        The class axis of ``probs``.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; ``sum_c class_weight[c] * labels[c]`` enters the denominator of the
        mean.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / C``.
    sample_weight : array, real, shape of the losses or 1 along any axis, or (), optional
        A factor for each example; it also enters the denominator of the mean.
    where : array, bool, shaped like ``sample_weight``, optional
        True keeps. The other examples are left out.
    reduction : {"none", "sum", "mean", "partial"}, default "none"
        The losses, their sum, the sum divided by the sum of the weights, or both as a `Mean`.
    denominator : number or 0-d array, optional
        Divides the sum in the place of the weights; only with ``reduction="mean"``.

    Returns
    -------
    array or Mean
        The losses, shape (...), or their reduction, shape (). Computed and returned in float32, in
        float64 if ``probs`` are; sums over examples in float64 where the device has it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above, or ``C`` is 0.
    DTypeError
        If ``probs`` are not floating, ``labels`` not real or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sparse_categorical_cross_entropy : The same against the index of a class.
    softmax_cross_entropy : The same from logits, where no digit is lost.

    Notes
    -----
    Nothing is clipped or normalized: rows that do not sum to 1 are taken as they are, and checked
    only inside `strict`. A probability of 0 changes nothing where the label is 0 (``0 log 0 = 0``);
    where it is not, also by smoothing, the loss is +inf and its gradient infinite. NaN gives NaN.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    The gradient is ``-class_weight * t / probs``.

    Elsewhere: ``keras.losses.categorical_crossentropy`` takes labels first, divides the
    probabilities by their sum and clips them to [1e-7, 1 - 1e-7]; ``sklearn.metrics.log_loss``
    clips to the epsilon of the dtype and returns the mean.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> probs = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    >>> xentropy.categorical_cross_entropy(probs, np.array([[1, 0, 0], [0, 1, 0]]))
    array([0.35667494, 0.69314718])
    """
    call = Call(
        "categorical_cross_entropy",
        probs=probs,
        labels=labels,
        class_weight=class_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis, kind="probs")
    return _finish(call, label_smoothing)


def sparse_categorical_cross_entropy(
    probs: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Cross-entropy in nats of probabilities against the index of a class, one loss per example.

    The loss of an example with label ``y`` is ::

        -class_weight[y] * log(probs[y])

    Parameters
    ----------
    probs : array, float, shape (..., C)
        The predicted probability of each class, along ``axis``.
    labels : array, int, shape (...)
        The class of each example, in ``[0, C)``.
    axis : int, default -1
        The class axis of ``probs``.
    ignore_index : int, optional
        The label of examples to leave out; any integer, compared by value.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; it also enters the denominator of the mean.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the one-hot label ``t`` becomes ``(1 - s) * t + s / C``.
    sample_weight : array, real, shape of the losses or 1 along any axis, or (), optional
        A factor for each example; it also enters the denominator of the mean.
    where : array, bool, shaped like ``sample_weight``, optional
        True keeps. The other examples are left out.
    reduction : {"none", "sum", "mean", "partial"}, default "none"
        The losses, their sum, the sum divided by the sum of the weights, or both as a `Mean`.
    denominator : number or 0-d array, optional
        Divides the sum in the place of the weights; only with ``reduction="mean"``.

    Returns
    -------
    array or Mean
        The losses, shape (...), or their reduction, shape (). Computed and returned in float32, in
        float64 if ``probs`` are; sums over examples in float64 where the device has it.

    Raises
    ------
    LabelError
        If labels that can be read without cost hold an index outside ``[0, C)`` that is not left
        out.
    ShapeError
        If shapes do not fit as above, or ``C`` is 0.
    DTypeError
        If ``probs`` are not floating, ``labels`` not integers or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    categorical_cross_entropy : The same against a distribution.
    sparse_softmax_cross_entropy : The same from logits, where no digit is lost.

    Notes
    -----
    Nothing is clipped or normalized: rows that do not sum to 1 are taken as they are, and checked
    only inside `strict`. A probability of 0 at the label costs +inf, and so does one anywhere under
    smoothing; the gradient there is infinite.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0. Other wrong labels raise in eager calls on the
    CPU, and give a loss and a gradient of NaN where labels are traced, mapped, lazy or on an
    accelerator.

    The gradient is ``-class_weight[y] / probs[y]`` at the label and 0 elsewhere.

    Elsewhere: ``torch.nn.functional.nll_loss`` takes log-probabilities;
    ``keras.losses.sparse_categorical_crossentropy`` takes labels first, clips to [1e-7, 1 - 1e-7]
    and normalizes, except on TensorFlow; ``sklearn.metrics.log_loss`` clips to the epsilon of the
    dtype.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> probs = np.array([[0.7, 0.2, 0.1], [0.5, 0.5, 0.0]])
    >>> xentropy.sparse_categorical_cross_entropy(probs, np.array([0, 1]))
    array([0.35667494, 0.69314718])
    >>> xentropy.sparse_categorical_cross_entropy(probs, np.array([0, 2]))
    array([0.35667494,        inf])
    """
    call = Call(
        "sparse_categorical_cross_entropy",
        probs=probs,
        labels=labels,
        class_weight=class_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "index", axis=axis, ignore_index=ignore_index, kind="probs")
    return _finish(call, label_smoothing)


_CATEGORICAL = (formulas.categorical_dense, formulas.categorical_index)


def _finish(call: Call, label_smoothing: float) -> Any:
    losses = call.apply(
        _CATEGORICAL[call.index],
        call.class_weight,
        smoothing=smoothing(call, label_smoothing),
    )
    return reduce(call, losses)
