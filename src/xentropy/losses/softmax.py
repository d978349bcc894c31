"""Losses of a softmax over mutually exclusive classes."""

from __future__ import annotations

from typing import Any

from xentropy._call import Call
from xentropy._options import number, smoothing
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import softmax as formulas
from xentropy.formulas.formula import Formula
from xentropy.reduction import reduce
from xentropy.shortcut import plain_cross_entropy
from xentropy.validation import rows

__all__ = [
    "cross_entropy",
    "poly_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]


def cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats against indices or distributions, one loss per example.

    Labels of one dimension less than the logits are class indices, labels of the same rank are
    distributions. With ``t`` the (one-hot) labels after smoothing the loss is ::

        sum_c class_weight[c] * t[c] * (logsumexp(logits) - logits[c])

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, int of shape (...), or real of the rank of ``logits``
        The class of each example, in ``[0, C)``, or the probability of each class.
    axis : int, default -1
        The class axis of ``logits``.
    ignore_index : int, optional
        The index label of examples to leave out; it does not apply to distributions.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; ``sum_c class_weight[c] * labels[c]`` enters the denominator of the
        mean.
    class_mask : array, bool, shape (C,) or that of ``logits`` or 1 along any axis, optional
        True keeps. The other classes get no probability, no smoothing and gradient 0.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / C``.
    z_loss : float, default 0.0
        Adds ``z_loss * logsumexp(logits)**2``, without class weights.
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
        If ``logits`` are not floating, labels of one dimension less not integers, or a mask not
        bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sparse_softmax_cross_entropy : Indices only; its notes hold here.
    softmax_cross_entropy : Distributions only; its notes hold here.
    sigmoid_cross_entropy : Labels that do not exclude one another.

    Notes
    -----
    A one-hot label and its index give the same loss and gradient, with any options.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0. Other wrong indices raise in eager calls on the
    CPU, and give a loss and a gradient of NaN where labels are traced, mapped, lazy or on an
    accelerator.

    A logit of -inf counts only where its label, after smoothing, is not 0; there the loss is +inf
    and its gradient finite. A row that holds NaN or +inf, or nothing but -inf, has loss NaN.

    ``torch.nn.functional.cross_entropy`` takes either kind too, has its classes on axis 1, the mean
    and ``ignore_index=-100`` by default, and means of one-hot labels that differ from those of
    indices: it divides them by the number of rows, whatever the class weights.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.1, 0.0, 3.0]])
    >>> options = {"class_weight": [1, 2, 4], "label_smoothing": 0.1, "reduction": "mean"}
    >>> xentropy.cross_entropy(logits, np.array([2, 1]), **options)
    array(1.08071075)
    >>> xentropy.cross_entropy(logits, np.eye(3)[[2, 1]], **options)
    array(1.08071075)
    """
    if ignore_index is class_weight is class_mask is sample_weight is where is denominator is None:
        options = reduction, axis, label_smoothing, z_loss
        found = plain_cross_entropy(logits, labels, *options)
        if found is not None:
            return found
    call = Call(
        "cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def softmax_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats against a distribution over the classes, one loss per example.

    With ``t`` the labels after smoothing it is ::

        sum_c class_weight[c] * t[c] * (logsumexp(logits) - logits[c])

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, float, int or bool, shape of ``logits`` or 1 along any axis, or ()
        The probability of each class. They need not sum to 1.
    axis : int, default -1
        The class axis of ``logits``.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; ``sum_c class_weight[c] * labels[c]`` enters the denominator of the
        mean.
    class_mask : array, bool, shape (C,) or that of ``logits`` or 1 along any axis, optional
        True keeps. The other classes get no probability, no smoothing and gradient 0.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / C``.
    z_loss : float, default 0.0
        Adds ``z_loss * logsumexp(logits)**2``, without class weights.
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
    ShapeError
        If shapes do not fit as above, or ``C`` is 0.
    DTypeError
        If ``logits`` are not floating, ``labels`` not real or a mask is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sparse_softmax_cross_entropy : The same against the index of a class.
    cross_entropy : Either kind of labels.
    categorical_cross_entropy : The same from probabilities.
    kl_divergence : The same less the entropy of the labels.

    Notes
    -----
    A one-hot label gives what its index gives to `sparse_softmax_cross_entropy`, with any options.
    Labels are not checked to be distributions outside `strict`.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    A logit of -inf is a probability of 0: where the label is 0 too its term is 0, otherwise the
    loss is +inf; that includes labels after smoothing (use ``class_mask``). A row that holds NaN or
    +inf, or nothing but -inf, has loss NaN.

    With ``b = class_weight * t`` the gradient is ``softmax(logits) * sum(b) - b``, also where the
    labels do not sum to 1, and finite where the loss is +inf.

    Elsewhere:

    * ``torch.nn.functional.cross_entropy``, labels of the shape of the logits: classes on axis 1,
      mean by default; with class weights the mean still divides by the number of rows.
    * ``tf.nn.softmax_cross_entropy_with_logits``: the gradient is ``softmax(logits) - labels`` also
      where the labels do not sum to 1.
    * ``optax.losses.softmax_cross_entropy``: no weights.
    * ``keras.losses.categorical_crossentropy``: labels first, probabilities by default.

    All four return NaN for a logit of -inf whose label is 0.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.1, 0.0, 3.0]])
    >>> labels = np.array([[0.0, 0.0, 1.0], [0.5, 0.5, 0.0]])
    >>> xentropy.softmax_cross_entropy(logits, labels)
    array([0.02215516, 3.04967364])
    >>> xentropy.softmax_cross_entropy(np.array([1.0, -np.inf, 0.0]), np.array([1, 0, 0]))
    array(0.31326169)
    """
    call = Call(
        "softmax_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def sparse_softmax_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats against the index of a class, one loss per example.

    The loss of an example with label ``y`` is ::

        class_weight[y] * (logsumexp(logits) - logits[y])

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, int, shape (...)
        The class of each example, in ``[0, C)``.
    axis : int, default -1
        The class axis of ``logits``.
    ignore_index : int, optional
        The label of examples to leave out; any integer, compared by value.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; it also enters the denominator of the mean.
    class_mask : array, bool, shape (C,) or that of ``logits`` or 1 along any axis, optional
        True keeps. The other classes get no probability, no smoothing and gradient 0.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the one-hot label ``t`` becomes ``(1 - s) * t + s / C``.
    z_loss : float, default 0.0
        Adds ``z_loss * logsumexp(logits)**2``, without class weights.
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
        If ``logits`` are not floating, ``labels`` not integers or a mask is not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    softmax_cross_entropy : The same against a distribution.
    cross_entropy : Either kind of labels.
    sparse_categorical_cross_entropy : The same from probabilities.

    Notes
    -----
    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold:
    NaN, infinities or wrong labels. The mean of none, or of an empty batch, is 0.

    Other wrong labels raise in eager calls on the CPU. Where labels are traced, mapped, lazy or on
    an accelerator, the loss and the gradient of that example are NaN.

    A logit of -inf is a probability of 0: at the label the loss is +inf, elsewhere it changes
    nothing, but label smoothing makes it +inf (use ``class_mask``). A row that holds NaN or +inf,
    or nothing but -inf, has loss NaN.

    Without options the gradient is ``softmax(logits) - t``, with ``t`` the one-hot label. At the
    label it is the sum of the other probabilities, so a confident row keeps its digits. It is
    finite where the loss is +inf.

    Elsewhere:

    * ``torch.nn.functional.cross_entropy``: classes on axis 1, mean by default, -100 ignored by
      default; the mean of nothing is NaN, and so is the gradient of an ignored row that holds NaN.
    * ``tf.nn.sparse_softmax_cross_entropy_with_logits``: wrong labels raise on the CPU and give NaN
      on a GPU and under XLA.
    * ``optax.losses.softmax_cross_entropy_with_integer_labels``: label -1 is the last class.
    * ``keras.losses.sparse_categorical_crossentropy``: labels first, probabilities by default; a
      wrong label may have loss 0, which depends on the backend.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.1, 0.0, 3.0]])
    >>> xentropy.sparse_softmax_cross_entropy(logits, np.array([2, 1]))
    array([0.02215516, 3.09967364])
    >>> xentropy.sparse_softmax_cross_entropy(
    ...     logits, np.array([2, -100]), ignore_index=-100, reduction="mean"
    ... )
    array(0.02215516)
    >>> xentropy.sparse_softmax_cross_entropy(np.array([40.0, 0.0, 0.0]), 0)
    array(8.49670851e-18)
    """
    if ignore_index is class_weight is class_mask is sample_weight is where is denominator is None:
        options = reduction, axis, label_smoothing, z_loss
        found = plain_cross_entropy(logits, labels, *options)
        if found is not None:
            return found
    call = Call(
        "sparse_softmax_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "index", axis=axis, ignore_index=ignore_index)
    return _finish(call, _CROSS_ENTROPY, label_smoothing, z_loss)


def poly_cross_entropy(
    logits: A,
    labels: Weak,
    *,
    epsilon: float = 1.0,
    axis: int = -1,
    ignore_index: int | None = None,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Poly-1 loss in nats against indices or distributions, one loss per example.

    With ``p = softmax(logits)`` and ``t`` the (one-hot) labels after smoothing it is ::

        sum_c class_weight[c] * t[c] * (-log(p[c]) + epsilon * (1 - p[c]))

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, int of shape (...), or real of the rank of ``logits``
        The class of each example, in ``[0, C)``, or the probability of each class.
    epsilon : float, default 1.0
        The factor of ``1 - p``; at 0 this is `cross_entropy`.
    axis : int, default -1
        The class axis of ``logits``.
    ignore_index : int, optional
        The index label of examples to leave out; it does not apply to distributions.
    class_weight : array, real, shape () or (C,), optional
        A factor for each class; ``sum_c class_weight[c] * labels[c]`` enters the denominator of the
        mean.
    class_mask : array, bool, shape (C,) or that of ``logits`` or 1 along any axis, optional
        True keeps. The other classes get no probability, no smoothing and gradient 0.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / C``.
    z_loss : float, default 0.0
        Adds ``z_loss * logsumexp(logits)**2``, without class weights.
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
        If ``logits`` are not floating, labels of one dimension less not integers, or a mask not
        bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    cross_entropy : The same without the second term.
    softmax_focal_cross_entropy : A factor in place of the second term.

    Notes
    -----
    Wrong labels, examples that are left out, infinities and NaN: as in `cross_entropy`. With
    ``epsilon < -1`` the loss may be negative.

    ``1 - p`` is summed from the other classes, and so is the gradient, for a hard label
    ``(1 + epsilon * p[y]) * (p - t)``.

    ``optax.losses.poly_loss_cross_entropy`` takes distributions only, has ``epsilon=2.0`` by
    default, and returns NaN for a logit of -inf whose label is 0.

    References
    ----------
    .. [1] Z. Leng et al., "PolyLoss: A Polynomial Expansion Perspective of Classification Loss
       Functions", ICLR 2022.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.1, 0.0, 3.0]])
    >>> xentropy.poly_cross_entropy(logits, np.array([2, 1]))
    array([0.0440667 , 4.05460973])
    >>> xentropy.poly_cross_entropy(logits, np.array([2, 1]), epsilon=0)
    array([0.02215516, 3.09967364])
    """
    call = Call(
        "poly_cross_entropy",
        logits=logits,
        labels=labels,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "either", axis=axis, ignore_index=ignore_index)
    epsilon = number(call, "epsilon", epsilon)
    return _finish(call, _POLY, label_smoothing, z_loss, epsilon=epsilon)


_CROSS_ENTROPY = (formulas.cross_entropy_dense, formulas.cross_entropy_index)
_POLY = (formulas.poly_dense, formulas.poly_index)


def _finish(
    call: Call,
    formula: tuple[Formula, Formula],
    label_smoothing: float,
    z_loss: float,
    **options: Any,
) -> Any:
    """Evaluate the formula for the kind of labels that came, and reduce."""
    losses = call.apply(
        formula[call.index],
        call.class_weight,
        call.class_mask,
        smoothing=smoothing(call, label_smoothing),
        z_loss=number(call, "z_loss", z_loss) or None,
        **options,
    )
    return reduce(call, losses)
