"""Focal losses: cross-entropies that fade where the prediction is already right."""

from __future__ import annotations

from xentropy._call import Call
from xentropy._options import number, smoothing
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import sigmoid, softmax
from xentropy.reduction import reduce
from xentropy.validation import class_vector, elementwise, rows

__all__ = ["sigmoid_focal_cross_entropy", "softmax_focal_cross_entropy"]


def _gamma(call: Call, gamma: float) -> float:
    return number(call, "gamma", gamma, "a finite number >= 0", lambda g: 0.0 <= g < float("inf"))


def sigmoid_focal_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    alpha: Weak | None = None,
    gamma: float = 2.0,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid focal loss in nats, one loss per element.

    With ``t`` the labels after smoothing, ``p = sigmoid(logits)`` and
    ``bce = t * softplus(-logits) + (1 - t) * softplus(logits)`` it is ::

        alpha_t * (1 - p_t) ** gamma * bce
        p_t = t * p + (1 - t) * (1 - p)
        alpha_t = alpha * t + (1 - alpha) * (1 - t)

    Parameters
    ----------
    logits : array, float, any shape
        The log-odds of each label being 1.
    labels : array, float, int or bool, shape of ``logits`` or 1 along any axis, or ()
        The probability of each label, usually 0 or 1.
    alpha : array, real, shape () or (C,), optional
        The weight of label 1, that of label 0 being ``1 - alpha``, for each entry of the last axis;
        without it both are 1. It does not enter the denominator of the mean.
    gamma : float, default 2.0
        How fast the loss fades with ``p_t``, at least 0; at 0 this is `sigmoid_cross_entropy`.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / 2``.
    sample_weight : array, real, shape of ``logits`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``logits``, or their reduction, shape (). Computed and returned
        in float32, in float64 if ``logits`` are; sums in float64 where the device has it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``logits`` are not floating, ``labels`` not real or ``where`` is not bool.
    OptionError
        If ``gamma`` is negative or another option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sigmoid_cross_entropy : The same without the factors.
    softmax_focal_cross_entropy : Classes that exclude one another.

    Notes
    -----
    ``1 - p_t`` is computed from the logits, so the loss is accurate to its last digits where
    ``p_t`` rounds to 1, and loss and gradient are finite for all finite logits. At infinite logits
    the loss is 0 on the right side of a hard label and +inf on the wrong side. NaN gives NaN.

    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    Elsewhere:

    * ``torchvision.ops.sigmoid_focal_loss``: ``alpha=0.25`` by default; ``1 - p_t`` is a
      difference.
    * ``optax.losses.sigmoid_focal_loss``: the same defaults.
    * ``keras.losses.BinaryFocalCrossentropy``: probabilities by default, ``alpha`` only with
      ``apply_class_balancing``, and losses that saturate near 16 on most of its backends.

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([-2.0, 0.0, 2.0, 40.0])
    >>> xentropy.sigmoid_focal_cross_entropy(logits, 1)
    array([1.65007818e+00, 1.73286795e-01, 1.80356284e-03, 7.66764807e-53])
    >>> xentropy.sigmoid_focal_cross_entropy(logits, 1, gamma=0, alpha=0.25, reduction="mean")
    array(0.1841877)
    """
    call = Call(
        "sigmoid_focal_cross_entropy",
        logits=logits,
        labels=labels,
        alpha=alpha,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "labels", "binary_logits")
    losses = call.apply(
        sigmoid.focal,
        class_vector(call, "alpha"),
        gamma=_gamma(call, gamma),
        smoothing=smoothing(call, label_smoothing),
    )
    return reduce(call, losses)


def softmax_focal_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    alpha: Weak | None = None,
    gamma: float = 2.0,
    ignore_index: int | None = None,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax focal loss in nats against indices or distributions, one loss per example.

    With ``p = softmax(logits)`` and ``t`` the (one-hot) labels it is ::

        sum_c alpha[c] * t[c] * (1 - p[c]) ** gamma * -log(p[c])

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, int of shape (...), or real of the rank of ``logits``
        The class of each example, in ``[0, C)``, or the probability of each class.
    axis : int, default -1
        The class axis of ``logits``.
    alpha : array, real, shape () or (C,), optional
        A factor for each class, 1 where absent. It does not enter the denominator of the mean.
    gamma : float, default 2.0
        How fast a term fades with ``p``, at least 0; at 0 this is `cross_entropy`.
    ignore_index : int, optional
        The index label of examples to leave out; it does not apply to distributions.
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
        float64 if ``logits`` are; sums over examples in float64 where the device has it.

    Raises
    ------
    LabelError
        If labels that can be read without cost hold an index outside ``[0, C)`` that is not left
        out.
    ShapeError
        If shapes do not fit as above, or ``C`` is 0.
    DTypeError
        If ``logits`` are not floating, labels of one dimension less not integers, or ``where`` not
        bool.
    OptionError
        If ``gamma`` is negative or another option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    cross_entropy : The same without the factors.
    sigmoid_focal_cross_entropy : Labels that do not exclude one another.

    Notes
    -----
    ``1 - p`` is summed from the other classes, so the loss is accurate to its last digits where
    ``p`` rounds to 1, and loss and gradient are finite for all finite logits. Where ``p`` is 1 the
    gradient is 0, for ``gamma`` below 1 too. Infinities and NaN: as in `cross_entropy`.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0. Other wrong indices raise in eager calls on the
    CPU, and give a loss and a gradient of NaN where labels are traced, mapped, lazy or on an
    accelerator.

    ``keras.losses.CategoricalFocalCrossentropy`` takes one-hot labels first, probabilities by
    default, ``alpha=0.25`` by default, and clips probabilities to [1e-7, 1 - 1e-7].

    References
    ----------
    .. [1] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.1, 0.0, 3.0]])
    >>> xentropy.softmax_focal_cross_entropy(logits, np.array([2, 1]))
    array([1.06370377e-05, 2.82660151e+00])
    >>> xentropy.softmax_focal_cross_entropy(logits, np.array([2, 1]), alpha=[1, 2, 1])
    array([1.06370377e-05, 5.65320301e+00])
    """
    call = Call(
        "softmax_focal_cross_entropy",
        logits=logits,
        labels=labels,
        alpha=alpha,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    losses = call.apply(
        (softmax.focal_dense, softmax.focal_index)[call.index],
        class_vector(call, "alpha"),
        None,
        gamma=_gamma(call, gamma),
        smoothing=None,
        z_loss=None,
    )
    return reduce(call, losses)
