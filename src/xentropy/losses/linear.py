"""The loss of a linear layer, without its logits."""

from __future__ import annotations

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._layer import class_weights_of, layer_of, operands_of, shape_of
from xentropy._options import number, smoothing
from xentropy._types import A, Reduction, Weak
from xentropy.formulas import softmax as formulas
from xentropy.formulas.linear import Head
from xentropy.reduction import reduce
from xentropy.validation import head

__all__ = ["linear_cross_entropy"]


def linear_cross_entropy(
    hidden: A,
    weight: Weak,
    labels: Weak,
    *,
    bias: Weak | None = None,
    softcap: float | None = None,
    scale: float = 1.0,
    ignore_index: int | None = None,
    max_memory: int = 64 * 2**20,
    class_weight: Weak | None = None,
    class_mask: Weak | None = None,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    sample_weight: Weak | None = None,
    where: Weak | None = None,
    reduction: Reduction = "none",
    denominator: Weak | None = None,
) -> A:
    """Softmax cross-entropy in nats of a linear layer, whose logits are never held all at once.

    It is `cross_entropy` of the logits ``softcap * tanh(z / softcap)``, or ``z`` without a cap,
    with ::

        z = scale * (hidden @ weight.T + bias)

    of which some rows and classes are computed at a time. Gradients are by ``hidden``, ``weight``,
    ``bias`` and the other floating arrays, in the memory that they take themselves.

    Parameters
    ----------
    hidden : array, float, shape (..., D)
        The features of each example.
    weight : array, float, shape (V, D)
        A row for each class of the vocabulary.
    labels : array, int of shape (...), or real of the rank of ``hidden``
        The class of each example, in ``[0, V)``, or the probability of each class, shape (..., V)
        or 1 along any axis.
    bias : array, float, shape (V,), optional
        Added to the products.
    softcap : float, optional
        A positive number that the logits do not exceed.
    scale : float, default 1.0
        A factor of the logits, an inverse temperature.
    ignore_index : int, optional
        The index label of examples to leave out; they take part in no matrix product where labels
        can be read without cost. It does not apply to distributions.
    max_memory : int, default 64 MiB
        Bytes that logits, and what is made of them, may take at a time, besides arguments and
        results. With less than a row of logits takes, a row is computed at a time; what is
        beyond the default holds logits for the gradients where a kernel computes, but not in
        compiled code of PyTorch and TensorFlow.
    class_weight : array, real, shape () or (V,), optional
        A factor for each class; ``sum_c class_weight[c] * labels[c]`` enters the denominator of the
        mean.
    class_mask : array, bool, shape (V,) or (..., V) or 1 along any axis, optional
        True keeps. The other classes get no probability, no smoothing and gradient 0.
    label_smoothing : float, default 0.0
        With ``s`` in [0, 1] the labels become ``(1 - s) * labels + s / V``.
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
        float64 if ``hidden`` is; sums over examples in float64 where the device has it.

    Raises
    ------
    LabelError
        If labels that can be read without cost hold an index outside ``[0, V)`` that is not left
        out.
    ShapeError
        If shapes do not fit as above, or ``V`` is 0.
    DTypeError
        If ``hidden``, ``weight`` or ``bias`` are not floating, labels of the shape of the losses
        not integers, or a mask not bool.
    OptionError
        If an option has a value that it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    cross_entropy : The same of logits that are held; its notes hold here.

    Notes
    -----
    The loss is no farther from the true one than that of logits computed in the same dtype;
    16-bit products are added up in float32.

    The logits are computed twice where gradients are wanted, once for the losses and once for the
    gradients: four matrix products in the place of three, or three where memory has room for the
    logits. What is not wanted, as the gradient of a frozen ``weight``, is not computed.

    Elsewhere: ``torch.nn.functional.linear_cross_entropy`` (mean and ``ignore_index=-100`` by
    default) holds all the logits with label smoothing or distributions, and has neither forward
    mode nor second derivatives.

    References
    ----------
    .. [1] E. Wijmans et al., "Cut Your Losses in Large-Vocabulary Language Models", ICLR 2025.
    .. [2] P. Hsu et al., "Liger Kernel: Efficient Triton Kernels for LLM Training", 2024.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> hidden = np.array([[1.0, 0.0], [0.5, -1.0]])
    >>> weight = np.array([[1.0, 2.0], [0.0, -1.0], [-1.0, 0.5]])
    >>> xentropy.linear_cross_entropy(hidden, weight, np.array([0, 1]))
    array([0.40760596, 0.1967341 ])
    >>> xentropy.cross_entropy(hidden @ weight.T, np.array([0, 1]))
    array([0.40760596, 0.1967341 ])
    """
    call = Call(
        "linear_cross_entropy",
        hidden=hidden,
        weight=weight,
        labels=labels,
        bias=bias,
        class_weight=class_weight,
        class_mask=class_mask,
        sample_weight=sample_weight,
        where=where,
        denominator=denominator,
        reduction=reduction,
    )
    head(call, "either", ignore_index=ignore_index)
    formula = formulas.cross_entropy_index if call.index else formulas.cross_entropy_dense
    s, z = smoothing(call, label_smoothing), number(call, "z_loss", z_loss) or None
    whole = Head(layer_of(call, scale, softcap, max_memory), formula, s, z)
    given = operands_of(call)
    losses = steps.reshape(call.backend.linear(whole, given), shape_of(call))
    return reduce(call, losses, lambda: class_weights_of(call, given))
