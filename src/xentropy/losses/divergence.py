"""Divergences between a distribution and a softmax."""

from __future__ import annotations

from xentropy._call import Call
from xentropy._options import number
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import softmax as formulas
from xentropy.reduction import reduce
from xentropy.validation import rows

__all__ = ["kl_divergence"]


def kl_divergence(
    logits: A,
    labels: Weak,
    *,
    axis: int = -1,
    temperature: float = 1.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Kullback-Leibler divergence in nats of a softmax from the labels, one loss per example.

    With ``q = softmax(logits / temperature)`` it is ::

        temperature**2 * sum_c labels[c] * (log(labels[c]) - log(q[c]))

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities of the approximation, with the classes along ``axis``.
    labels : array, float, int or bool, shape of ``logits`` or 1 along any axis, or ()
        The probability of each class in the distribution that is approximated.
    axis : int, default -1
        The class axis of ``logits``.
    temperature : float, default 1.0
        Divides the logits, not the labels; above 0. Its square keeps the size of gradients.
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
        If ``logits`` are not floating, ``labels`` not real or ``where`` is not bool.
    OptionError
        If ``temperature`` is not above 0 or another option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    softmax_cross_entropy : The same without the entropy of the labels.

    Notes
    -----
    A label of 0 has the term 0, also against a logit of -inf; another label against -inf gives
    +inf. A row of logits that holds NaN or +inf, or nothing but -inf, gives NaN, and so does a
    negative label. The terms differ in sign: the error is a few units in the last place of the sum
    of their magnitudes.

    Examples that are left out, also by a weight of 0, have loss and gradient 0 whatever they hold.
    The mean of none, or of an empty batch, is 0.

    The gradient is ``temperature * (q * sum(labels) - labels)``; with respect to a label of 0 it is
    0, as its term is.

    Elsewhere:

    * ``torch.nn.functional.kl_div``: takes ``log(q)``; its mean is over all elements, that of the
      examples is called ``batchmean``.
    * ``optax.losses.kl_divergence``: takes ``log(q)``; a label of 0 against ``log(q)`` of -inf
      gives NaN.
    * ``keras.losses.kl_divergence``: labels first, probabilities, both clipped to [1e-7, 1].
    * ``scipy.special.rel_entr``: the terms, from probabilities.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals and J. Dean, "Distilling the Knowledge in a Neural Network", 2015,
       arXiv:1503.02531, for the temperature.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits, labels = np.array([2.0, 0.0]), np.array([0.5, 0.5])
    >>> xentropy.kl_divergence(logits, labels)
    array(0.43378083)
    >>> xentropy.kl_divergence(logits, labels, temperature=2.0)
    array(0.48045803)
    """
    call = Call(
        "kl_divergence",
        logits=logits,
        labels=labels,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    rows(call, "dense", axis=axis)
    t = number(
        call, "temperature", temperature, "a finite number > 0", lambda t: 0.0 < t < float("inf")
    )
    losses = call.apply(formulas.kl_divergence, temperature=None if t == 1.0 else t)
    return reduce(call, losses)
