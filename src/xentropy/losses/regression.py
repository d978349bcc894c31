"""Losses of the difference between predictions and targets."""

from __future__ import annotations

from xentropy._call import Call
from xentropy._options import number
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import regression as formulas
from xentropy.reduction import reduce
from xentropy.validation import elementwise

__all__ = [
    "absolute_error",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_squared_error",
    "smooth_l1",
    "squared_error",
]


def squared_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Squared error, one loss per element.

    It is ``(predictions - targets) ** 2``, in the square of their unit.

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``predictions``, or their reduction, shape (). Computed and
        returned in float32, in float64 if ``predictions`` are; sums in float64 where the device has
        it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    mean_squared_error : Its mean.
    huber : The same near 0, linear beyond.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    NaN gives NaN, and so does the difference of two equal infinities; another infinity gives +inf.
    The gradient is ``2 * (predictions - targets)``.

    Elsewhere:

    * ``torch.nn.functional.mse_loss``: mean by default; targets of another shape are broadcast with
      a warning.
    * ``keras.losses.mean_squared_error``: targets first, and the mean over the last axis.
    * ``optax.losses.squared_error``: per element, without weights; ``optax.losses.l2_loss`` and
      ``tf.nn.l2_loss`` are half of it, the latter summed.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.squared_error(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    array([0., 4., 1.])
    >>> xentropy.squared_error(np.array([1.0, 2.0]), 0.0, where=[True, False], reduction="sum")
    array(1.)
    """
    call = Call(
        "squared_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.squared_error))


def absolute_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Absolute error, one loss per element.

    It is ``|predictions - targets|``, in their unit.

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``predictions``, or their reduction, shape (). Computed and
        returned in float32, in float64 if ``predictions`` are; sums in float64 where the device has
        it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    mean_absolute_error : Its mean.
    smooth_l1 : The same with a smooth minimum.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    NaN gives NaN, and so does the difference of two equal infinities; another infinity gives +inf.
    The gradient is the sign of the error, 0 at 0.

    Elsewhere: ``torch.nn.functional.l1_loss``, mean by default;
    ``keras.losses.mean_absolute_error``, targets first and the mean over the last axis.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.absolute_error(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    array([0., 2., 1.])
    """
    call = Call(
        "absolute_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.absolute_error))


def log_cosh(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Logarithm of the hyperbolic cosine of the error, one loss per element.

    It is ``log(cosh(predictions - targets))``: near 0 half the squared error, far from it the
    absolute error less ``log(2)``.

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``predictions``, or their reduction, shape (). Computed and
        returned in float32, in float64 if ``predictions`` are; sums in float64 where the device has
        it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    huber : Squared near 0 and linear beyond, in two pieces.
    squared_error : Twice its limit near 0.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    It does not overflow and has no cancellation near 0. NaN gives NaN, and so does the difference
    of two equal infinities; another infinity gives +inf. The gradient is ``tanh(predictions -
    targets)``.

    Elsewhere: ``optax.losses.log_cosh``; ``keras.losses.log_cosh``, targets first and the mean over
    the last axis. Both lose all digits near 0.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.log_cosh(np.array([1e-5, 1.0, 1000.0]), 0.0)
    array([5.00000000e-11, 4.33780830e-01, 9.99306853e+02])
    """
    call = Call(
        "log_cosh",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.log_cosh))


def huber(
    predictions: A,
    targets: Weak,
    *,
    delta: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Huber loss, one loss per element: squared inside ``delta``, linear outside.

    With ``e = predictions - targets`` it is ::

        e**2 / 2                        where |e| <= delta
        delta * (|e| - delta / 2)      elsewhere

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    delta : float, default 1.0
        The error at which the loss turns linear, above 0.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``predictions``, or their reduction, shape (). Computed and
        returned in float32, in float64 if ``predictions`` are; sums in float64 where the device has
        it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    OptionError
        If ``delta`` is not above 0 or an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    smooth_l1 : The same divided by ``delta``.
    log_cosh : A smooth relative.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    NaN gives NaN, and so does the difference of two equal infinities; another infinity gives +inf.
    The gradient is the error, clipped to ``[-delta, delta]``.

    Elsewhere:

    * ``torch.nn.functional.huber_loss``: mean by default; with a ``weight`` the mean divides by the
      number of elements.
    * ``keras.losses.huber``: targets first, and the mean over the last axis; a negative ``delta``
      is accepted.
    * ``optax.losses.huber_loss``: broadcasts both arguments; a negative ``delta`` is accepted.
    * ``scipy.special.huber``: takes ``delta`` and the error.

    References
    ----------
    .. [1] P. J. Huber, "Robust Estimation of a Location Parameter", Annals of Mathematical
       Statistics 35, 1964.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.huber(np.array([0.5, 1.0, 3.0]), 0.0)
    array([0.125, 0.5  , 2.5  ])
    >>> xentropy.huber(np.array([0.5, 1.0, 3.0]), 0.0, delta=2.0)
    array([0.125, 0.5  , 4.   ])
    """
    call = Call(
        "huber",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    delta = number(call, "delta", delta, "a finite number > 0", lambda d: 0.0 < d < float("inf"))
    return reduce(call, call.apply(formulas.huber, delta=delta))


def smooth_l1(
    predictions: A,
    targets: Weak,
    *,
    beta: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Smooth L1 loss, one loss per element: the Huber loss divided by ``beta``.

    With ``e = predictions - targets`` it is ::

        e**2 / (2 * beta)      where |e| < beta
        |e| - beta / 2        elsewhere

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    beta : float, default 1.0
        The error at which the loss turns linear, at least 0; at 0 this is `absolute_error`.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
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
        The losses in the shape of ``predictions``, or their reduction, shape (). Computed and
        returned in float32, in float64 if ``predictions`` are; sums in float64 where the device has
        it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    OptionError
        If ``beta`` is negative or an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    huber : The same times ``beta``.
    absolute_error : Its limit for small ``beta``.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    NaN gives NaN, and so does the difference of two equal infinities; another infinity gives +inf.
    The gradient is ``e / beta``, clipped to [-1, 1]; 0 at 0, for ``beta=0`` too.

    Elsewhere: ``torch.nn.functional.smooth_l1_loss``, mean by default. Keras, optax and TensorFlow
    have the Huber loss only.

    References
    ----------
    .. [1] R. Girshick, "Fast R-CNN", ICCV 2015.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.smooth_l1(np.array([0.5, 1.0, 3.0]), 0.0, beta=2.0)
    array([0.0625, 0.25  , 2.    ])
    """
    call = Call(
        "smooth_l1",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    elementwise(call, "targets", "values")
    beta = number(call, "beta", beta, "a finite number >= 0", lambda b: 0.0 <= b < float("inf"))
    if beta == 0:
        return reduce(call, call.apply(formulas.absolute_error))
    return reduce(call, call.apply(formulas.smooth_l1, beta=beta))


def mean_squared_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
) -> A:
    """Mean of the squared errors.

    It is ``squared_error(predictions, targets, reduction="mean")``, in the square of their unit:
    over all elements, whatever the number of axes.

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
        A factor for each element; it also enters the denominator of the mean.
    where : array, bool, shaped like ``sample_weight``, optional
        True keeps. The other elements are left out.

    Returns
    -------
    array
        Shape (). Float32, float64 if ``predictions`` are; the sum is accumulated in float64 where
        the device has it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    squared_error : The errors themselves, and other reductions.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    The mean is ``sum(w * e**2) / sum(w)`` with the weights ``w``. NaN and infinities that are not
    left out give NaN or +inf. The gradient is ``2 * w * (predictions - targets) / sum(w)``.

    Elsewhere: ``torch.nn.functional.mse_loss``; ``keras.losses.mean_squared_error`` over the last
    axis only; ``sklearn.metrics.mean_squared_error``, targets first and a Python float; all refuse,
    or return NaN for, an empty batch.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.mean_squared_error(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    array(1.66666667)
    >>> xentropy.mean_squared_error(np.array([1.0, 2.0]), 0.0, sample_weight=[3.0, 1.0])
    array(1.75)
    """
    call = Call(
        "mean_squared_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        reduction="mean",
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.squared_error))


def mean_absolute_error(
    predictions: A,
    targets: Weak,
    *,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
) -> A:
    """Mean of the absolute errors.

    It is ``absolute_error(predictions, targets, reduction="mean")``, in their unit: over all
    elements, whatever the number of axes.

    Parameters
    ----------
    predictions : array, float, any shape
        What is predicted.
    targets : array, real, shape of ``predictions`` or 1 along any axis, or ()
        What was observed.
    sample_weight : array, real, shape of ``predictions`` or 1 along any axis, or (), optional
        A factor for each element; it also enters the denominator of the mean.
    where : array, bool, shaped like ``sample_weight``, optional
        True keeps. The other elements are left out.

    Returns
    -------
    array
        Shape (). Float32, float64 if ``predictions`` are; the sum is accumulated in float64 where
        the device has it.

    Raises
    ------
    ShapeError
        If shapes do not fit as above; missing axes are not added.
    DTypeError
        If ``predictions`` are not floating, ``targets`` not real or ``where`` is not bool.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    absolute_error : The errors themselves, and other reductions.

    Notes
    -----
    Elements that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    The mean is ``sum(w * |e|) / sum(w)`` with the weights ``w``. NaN and infinities that are not
    left out give NaN or +inf. The gradient is ``w * sign(predictions - targets) / sum(w)``, 0 at 0.

    Elsewhere: ``torch.nn.functional.l1_loss``; ``keras.losses.mean_absolute_error`` over the last
    axis only; ``sklearn.metrics.mean_absolute_error``, targets first and a Python float.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.mean_absolute_error(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    array(1.)
    """
    call = Call(
        "mean_absolute_error",
        predictions=predictions,
        targets=targets,
        sample_weight=sample_weight,
        where=where,
        reduction="mean",
    )
    elementwise(call, "targets", "values")
    return reduce(call, call.apply(formulas.absolute_error))
