"""Losses of independent logistic units."""

from __future__ import annotations

from typing import Any

from xentropy._call import Call
from xentropy._options import smoothing
from xentropy._types import A, Reduction, Weak
from xentropy.errors import OptionError
from xentropy.formulas import sigmoid as formulas
from xentropy.reduction import reduce
from xentropy.validation import class_vector, elementwise

__all__ = ["sigmoid_cross_entropy", "weighted_sigmoid_cross_entropy"]


def sigmoid_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    pos_weight: Weak | None = None,
    label_smoothing: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid cross-entropy in nats, one loss per element.

    With ``t`` the labels after smoothing it is ::

        pos_weight * t * softplus(-logits) + (1 - t) * softplus(logits)

    Parameters
    ----------
    logits : array, float, any shape
        The log-odds of each label being 1.
    labels : array, float, int or bool, shape of ``logits`` or 1 along any axis, or ()
        The probability of each label, usually 0 or 1.
    pos_weight : array, real, shape () or (C,), optional
        A factor for the first term, for each entry of the last axis. It does not enter the
        denominator of the mean.
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
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    weighted_sigmoid_cross_entropy : The same with a required ``pos_weight``.
    binary_cross_entropy : The same from probabilities.
    sigmoid_focal_cross_entropy : The same with less weight on easy elements.
    softmax_cross_entropy : Classes that exclude one another.

    Notes
    -----
    The loss of logit ``x`` is the softmax cross-entropy of the logits ``[0, x]``.

    At infinite logits it is 0 on the right side of a hard label and +inf on the wrong side. NaN
    gives NaN. Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever
    they hold. The mean of none, or of an empty batch, is 0. Labels are not checked to lie in [0, 1]
    outside `strict`.

    The gradient is ``(1 - t) * sigmoid(logits) - pos_weight * t * sigmoid(-logits)``, finite also
    where the loss is +inf.

    Elsewhere, with NaN for some infinite logits in each:

    * ``torch.nn.functional.binary_cross_entropy_with_logits``: mean by default, over the number of
      elements also where it is given a ``weight``; labels must be floating.
    * ``tf.nn.sigmoid_cross_entropy_with_logits``: labels of the dtype and shape of the logits.
    * ``optax.losses.sigmoid_binary_cross_entropy``: no weights.
    * ``keras.losses.binary_crossentropy``: labels first, probabilities by default, and the mean
      over the last axis.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[12.0, 3.0, 2.0], [3.0, 10.0, 1.0]])
    >>> xentropy.sigmoid_cross_entropy(logits, np.array([[1, 0, 0], [0, 1, 0]]))
    array([[6.14419348e-06, 3.04858735e+00, 2.12692801e+00],
           [3.04858735e+00, 4.53988992e-05, 1.31326169e+00]])
    >>> xentropy.sigmoid_cross_entropy(logits, 1, pos_weight=[2, 1, 1], reduction="mean")
    array(0.09766824)
    """
    call = Call(
        "sigmoid_cross_entropy",
        logits=logits,
        labels=labels,
        pos_weight=pos_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    return _finish(call, label_smoothing)


def weighted_sigmoid_cross_entropy(
    logits: A,
    labels: Weak,
    pos_weight: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Sigmoid cross-entropy in nats with a weight on the positive term, one loss per element.

    With ``t`` the labels it is ::

        pos_weight * t * softplus(-logits) + (1 - t) * softplus(logits)

    Parameters
    ----------
    logits : array, float, any shape
        The log-odds of each label being 1.
    labels : array, float, int or bool, shape of ``logits`` or 1 along any axis, or ()
        The probability of each label, usually 0 or 1.
    pos_weight : array, real, shape () or (C,)
        A factor for the first term, for each entry of the last axis; above 1 it favors recall. It
        does not enter the denominator of the mean.
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
        If ``pos_weight`` is None or an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sigmoid_cross_entropy : The same, with ``pos_weight`` optional; its notes hold here.

    Notes
    -----
    The weight multiplies the term of positive labels only, not the loss of an element; that is
    ``sample_weight``. Infinities, NaN and elements that are left out: as in
    `sigmoid_cross_entropy`.

    Elsewhere: ``tf.nn.weighted_cross_entropy_with_logits``, whose weight may enlarge the result,
    and the ``pos_weight`` of ``torch.nn.functional.binary_cross_entropy_with_logits``.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[12.0, 3.0, 2.0], [3.0, 10.0, 1.0]])
    >>> labels = np.array([[1, 0, 0], [0, 1, 0]])
    >>> xentropy.weighted_sigmoid_cross_entropy(logits, labels, 2.0)
    array([[1.22883870e-05, 3.04858735e+00, 2.12692801e+00],
           [3.04858735e+00, 9.07977984e-05, 1.31326169e+00]])
    """
    call = Call(
        "weighted_sigmoid_cross_entropy",
        logits=logits,
        labels=labels,
        pos_weight=pos_weight,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    if pos_weight is None:
        call.fail(
            OptionError,
            "`pos_weight` must be given.",
            "pos_weight",
            hint="without a weight call sigmoid_cross_entropy.",
        )
    return _finish(call, 0.0)


def _finish(call: Call, label_smoothing: float) -> Any:
    elementwise(call, "labels", "binary_logits")
    weight = class_vector(call, "pos_weight")
    losses = call.apply(formulas.cross_entropy, weight, smoothing=smoothing(call, label_smoothing))
    return reduce(call, losses)
