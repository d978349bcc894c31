"""What can be said of the softmax of each row, beside a loss."""

from __future__ import annotations

import math

from xentropy import _steps as steps
from xentropy._call import Call
from xentropy._layer import layer_of, operands_of, shape_of
from xentropy._options import number
from xentropy._outputs import Outputs, Statistics, check_k, named, parsed
from xentropy._types import A, Weak
from xentropy.formulas.statistics import OF_LABELS, Request
from xentropy.validation import head, rows

__all__ = ["linear_softmax_statistics", "softmax_statistics"]


def softmax_statistics(
    logits: A,
    labels: Weak | None,
    *,
    outputs: Outputs,
    axis: int = -1,
    class_mask: Weak | None = None,
    ignore_index: int | None = None,
    scale: float = 1.0,
) -> Statistics[A]:
    """Log-probabilities, entropies, ranks and the largest classes of a softmax, row by row.

    With ``x = scale * logits``, ``p = softmax(x)`` and ``y`` the label of a row:

    * ``log_prob``: ``x[y] - logsumexp(x)``, the cross-entropy with its sign changed;
    * ``logsumexp``: ``log(sum_c exp(x[c]))``;
    * ``entropy``: ``-sum_c p[c] * log(p[c])``, with ``0 log 0 = 0``;
    * ``rank``: how many classes come before the label: those of larger ``x``, and of equal ``x``
      those of a lower index;
    * ``correct``: whether the rank is 0;
    * ``top_k``: the first ``k`` classes in that order.

    Parameters
    ----------
    logits : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    labels : array, int, shape (...), or None
        The class of each row, in ``[0, C)``. None if no output needs it: ``log_prob``, ``rank`` and
        ``correct`` do.
    outputs : str or ("top_k", k), or tuple or list of these
        What to compute, each once; with ``k`` an int in [1, C]. Nothing else is computed.
    axis : int, default -1
        The class axis of ``logits``.
    class_mask : array, bool, shape (C,) or that of ``logits`` or 1 along any axis, optional
        True keeps. The other classes have no probability, and come after all that are kept.
    ignore_index : int, optional
        The label of rows to leave out; any integer, compared by value.
    scale : float, default 1.0
        Multiplies the logits: one over a temperature. Not 0.

    Returns
    -------
    NamedTuple
        The outputs in the order of ``outputs``, by name. ``log_prob``, ``logsumexp`` and
        ``entropy`` in nats, shape (...), float32, or float64 if ``logits`` are; ``rank``, shape
        (...), in the integers of the framework's indices (int64; int32 in JAX without x64);
        ``correct``, shape (...), bool; ``top_k``, shape (..., k), integers like ``rank``.

    Raises
    ------
    LabelError
        If labels that can be read without cost hold an index outside ``[0, C)`` that is not
        ignored.
    ShapeError
        If shapes do not fit as above, or ``C`` is 0.
    DTypeError
        If ``logits`` are not floating, ``labels`` missing or not integers, or the mask not bool.
    OptionError
        If an output is unknown, named twice or none is named, or another option has a value that
        it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    sparse_softmax_cross_entropy : The negative of ``log_prob``, weighted and reduced.
    log_softmax : ``log_prob`` of all classes.
    logsumexp : Along any axis of any exponents.

    Notes
    -----
    Of rows that are ignored, ``rank`` is -1, ``correct`` False and all else 0, whatever they hold.

    Other wrong labels raise in eager calls on the CPU. Where labels are traced, mapped, lazy or on
    an accelerator, ``log_prob`` is NaN, ``rank`` -1 and ``correct`` False.

    A logit of -inf is a probability of 0, as is a class that is not kept: at the label ``log_prob``
    is -inf. In a row that holds +inf, or nothing but -inf, ``log_prob`` and ``entropy`` are NaN and
    ``logsumexp`` is that infinity; in one that holds NaN all three are NaN, ``rank`` and ``top_k``
    -1 and ``correct`` False.

    ``log_prob``, ``logsumexp`` and ``entropy`` can be differentiated with respect to the logits;
    the gradient of the entropy is ``-scale * p * (log(p) + entropy)``.

    Elsewhere: ``torch.topk`` promises no order of equal values; ``tf.math.in_top_k`` counts only
    larger ones.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> logits = np.array([[2.0, 0.5, 6.0], [0.0, 0.0, 0.0]])
    >>> found = xentropy.softmax_statistics(
    ...     logits, np.array([0, 1]), outputs=("log_prob", "rank", ("top_k", 2))
    ... )
    >>> found.log_prob
    array([-4.02215516, -1.09861229])
    >>> found.rank
    array([1, 1])
    >>> found.top_k
    array([[2, 0],
           [0, 1]])
    >>> xentropy.softmax_statistics(logits, None, outputs="entropy").entropy
    array([0.11579715, 1.09861229])
    """
    call = Call("softmax_statistics", logits=logits, labels=labels, class_mask=class_mask)
    names, k = parsed(call, outputs)
    has_labels = labels is not None or ignore_index is not None or bool({*names} & {*OF_LABELS})
    rows(call, "index" if has_labels else "none", axis=axis, ignore_index=ignore_index)
    assert call.axis is not None
    check_k(call, k, call.x.shape[call.axis])
    factor = _factor(call, scale)
    request = Request(
        call.x if factor > 0 else -call.x,
        call.labels if has_labels else None,
        call.class_mask,
        call.expand(call.keep),
        call.axis,
        call.dtype,
        None if abs(factor) == 1.0 else abs(factor),
        names,
        k or 0,
    )
    result: Statistics[A] = named(names, call.backend.statistics(request))
    return result


def linear_softmax_statistics(
    hidden: A,
    weight: Weak,
    labels: Weak | None,
    *,
    outputs: Outputs,
    bias: Weak | None = None,
    softcap: float | None = None,
    class_mask: Weak | None = None,
    ignore_index: int | None = None,
    scale: float = 1.0,
    max_memory: int = 64 * 2**20,
) -> Statistics[A]:
    """`softmax_statistics` of a linear layer, whose logits are never held all at once.

    The logits are ``softcap * tanh(z / softcap)``, or ``z`` without a cap, with
    ``z = scale * (hidden @ weight.T + bias)``. All that is asked for is made of one product, of
    some rows after the other. Derivatives of ``log_prob``, ``logsumexp`` and ``entropy`` compute
    the logits again.

    Parameters
    ----------
    hidden : array, float, shape (..., D)
        The features of each row.
    weight : array, float, shape (V, D)
        A row for each class of the vocabulary.
    labels : array, int, shape (...), or None
        The class of each row, in ``[0, V)``. None if no output needs it: ``log_prob``, ``rank`` and
        ``correct`` do.
    outputs : str or ("top_k", k), or tuple or list of these
        Any of ``log_prob``, ``logsumexp``, ``entropy``, ``rank``, ``correct`` and ``("top_k", k)``,
        each once. Nothing else is computed.
    bias : array, float, shape (V,), optional
        Added to the products.
    softcap : float, optional
        A positive number that the logits do not exceed.
    class_mask : array, bool, shape (V,) or (..., V) or 1 along any axis, optional
        True keeps. The other classes have no probability, and come after all that are kept.
    ignore_index : int, optional
        The label of rows to leave out; any integer, compared by value.
    scale : float, default 1.0
        A factor of the logits: one over a temperature. Not 0.
    max_memory : int, default 64 MiB
        Bytes that logits, and what is made of them, may take at a time.

    Returns
    -------
    NamedTuple
        The outputs in the order of ``outputs``, by name, as those of `softmax_statistics`.

    Raises
    ------
    LabelError
        If labels that can be read without cost hold an index outside ``[0, V)`` that is not
        ignored.
    ShapeError
        If shapes do not fit as above, or ``V`` is 0.
    DTypeError
        If ``hidden``, ``weight`` or ``bias`` are not floating, ``labels`` missing or not integers,
        or the mask not bool.
    OptionError
        If an output is unknown, named twice or none is named, or another option has a value that
        it does not take.
    MixedBackendError
        If arguments belong to two frameworks or lie on two devices.

    See Also
    --------
    softmax_statistics : The same of logits that are held; its notes hold here.
    linear_cross_entropy : The loss of such a layer.

    Notes
    -----
    The logits of some rows, as many as three quarters of ``max_memory`` hold where kernels compute
    them, are multiplied at a time. Inside of a compiled PyTorch function the transforms of
    ``torch.func`` hold those of all rows.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> hidden, weight = np.array([[1.0, 0.0], [0.5, -1.0]]), np.array([[1.0, 2.0], [0.0, -1.0]])
    >>> found = xentropy.linear_softmax_statistics(
    ...     hidden, weight, np.array([0, 0]), outputs=("log_prob", "rank")
    ... )
    >>> found.log_prob
    array([-0.31326169, -2.57888973])
    >>> found.rank
    array([0, 1])
    """
    call = Call(
        "linear_softmax_statistics",
        hidden=hidden,
        weight=weight,
        labels=labels,
        bias=bias,
        class_mask=class_mask,
    )
    names, k = parsed(call, outputs)
    has_labels = labels is not None or ignore_index is not None or bool({*names} & {*OF_LABELS})
    head(call, "index" if has_labels else "none", ignore_index=ignore_index)
    check_k(call, k, call.x.shape[-1])
    layer, given = layer_of(call, _factor(call, scale), softcap, max_memory), operands_of(call)
    request = Request(None, None, None, None, -1, call.dtype, None, names, k or 0)
    found = call.backend.linear_statistics(layer, given, request)
    shape = shape_of(call)
    whole = (steps.reshape(x, (*shape, *tuple(x.shape[1:]))) for x in found)
    result: Statistics[A] = named(names, tuple(whole))
    return result


def _factor(call: Call, scale: float) -> float:
    """The option `scale`: with 0 no class would come before another."""
    return number(call, "scale", scale, "a finite number other than 0", _is_factor)


def _is_factor(x: float) -> bool:
    return 0 < abs(x) < math.inf  # torch.compile reads no math.isfinite of a number that varies
