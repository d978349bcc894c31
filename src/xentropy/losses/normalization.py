"""The normalizers of a softmax: logsumexp and log-probabilities."""

from __future__ import annotations

from xentropy._call import Call
from xentropy._options import flag
from xentropy._types import A, Weak
from xentropy.formulas import softmax as formulas
from xentropy.validation import rows

__all__ = ["log_softmax", "logsumexp"]


def logsumexp(x: A, *, axis: int = -1, where: Weak | None = None, keepdims: bool = False) -> A:
    """Logarithm of the sum of exponentials along an axis.

    The result is ``log(sum(exp(x)))``, computed as ``max(x)`` plus the logarithm of a sum that
    never overflows.

    Parameters
    ----------
    x : array, float, shape (..., C)
        The exponents.
    axis : int, default -1
        The axis to sum along.
    where : array, bool, shape (C,) or that of ``x`` or 1 along any axis, optional
        True keeps. The other entries count as -inf and get gradient 0.
    keepdims : bool, default False
        Whether ``axis`` stays, with length 1.

    Returns
    -------
    array
        Shape (...), or (..., 1) with ``keepdims``. Computed and returned in float32, in float64 if
        ``x`` is.

    Raises
    ------
    ShapeError
        If ``x`` is 0-d or has no entry along ``axis``, or ``where`` does not fit.
    DTypeError
        If ``x`` is not floating or ``where`` is not bool.
    OptionError
        If ``axis`` is not an axis of ``x``.
    MixedBackendError
        If ``where`` belongs to another framework or lies on another device.

    See Also
    --------
    log_softmax : ``x`` minus this.

    Notes
    -----
    Nothing but -inf, or nothing kept, gives -inf. Any +inf gives +inf, any NaN gives NaN. The
    gradient is ``softmax(x)``; it is NaN where the result is infinite.

    Elsewhere: ``torch.logsumexp``, and, over all axes by default, ``tf.reduce_logsumexp``,
    ``jax.nn.logsumexp`` and ``scipy.special.logsumexp``.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.logsumexp(np.array([[1000.0, 1000.0], [0.0, -np.inf]]))
    array([1000.69314718,    0.        ])
    >>> xentropy.logsumexp(np.array([1.0, 2.0, 3.0]), where=[True, False, True])
    array(3.12692801)
    """
    call = Call("logsumexp", x=x, where=where)
    rows(call, "none", axis=axis, mask="where")
    options = {"axis": call.axis, "dtype": call.dtype, "keepdims": flag(call, "keepdims", keepdims)}
    result: A = call.backend.apply(formulas.logsumexp, (call.x, call.class_mask), options)
    return result


def log_softmax(x: A, *, axis: int = -1, where: Weak | None = None) -> A:
    """Logarithm of the softmax along an axis, in nats.

    The result is ``x - logsumexp(x)``.

    Parameters
    ----------
    x : array, float, shape (..., C)
        Unnormalized log-probabilities, with the classes along ``axis``.
    axis : int, default -1
        The class axis.
    where : array, bool, shape (C,) or that of ``x`` or 1 along any axis, optional
        True keeps. The other classes get the log-probability -inf and gradient 0.

    Returns
    -------
    array
        The shape of ``x``. Computed and returned in float32, in float64 if ``x`` is.

    Raises
    ------
    ShapeError
        If ``x`` is 0-d or has no class, or ``where`` does not fit.
    DTypeError
        If ``x`` is not floating or ``where`` is not bool.
    OptionError
        If ``axis`` is not an axis of ``x``.
    MixedBackendError
        If ``where`` belongs to another framework or lies on another device.

    See Also
    --------
    logsumexp : What is subtracted.
    softmax_cross_entropy : Its mean under the labels, with the sign changed.

    Notes
    -----
    The largest class is computed from the others: at ``[40, 0, 0]`` it is -8.5e-18, not 0. A logit
    of -inf gives -inf. A row that holds NaN or +inf, or nothing but -inf, is NaN.

    Elsewhere: ``torch.nn.functional.log_softmax``, ``tf.nn.log_softmax``, ``jax.nn.log_softmax``
    and ``scipy.special.log_softmax``, the last over all axes by default; all lose the digits of
    confident rows.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> xentropy.log_softmax(np.array([1.0, 2.0, 3.0]))
    array([-2.40760596, -1.40760596, -0.40760596])
    >>> xentropy.log_softmax(np.array([1.0, 2.0, 3.0]), where=[True, False, True])
    array([-2.12692801,        -inf, -0.12692801])
    """
    call = Call("log_softmax", x=x, where=where)
    rows(call, "none", axis=axis, mask="where")
    options = {"axis": call.axis, "dtype": call.dtype}
    result: A = call.backend.apply(formulas.log_softmax, (call.x, call.class_mask), options)
    return result
