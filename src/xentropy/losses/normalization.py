"""The normalizers of a softmax: logsumexp and log-probabilities."""

from __future__ import annotations

from xentropy._types import A, Weak
from xentropy.formulas import softmax as formulas
from xentropy.validation import Call, rows

__all__ = ["log_softmax", "logsumexp"]


def logsumexp(
    x: A, *, axis: int = -1, where: Weak | None = None, keepdims: bool = False
) -> A:
    """Logarithm of the sum of exponentials along ``axis``."""
    call = Call("logsumexp", x=x, class_mask=where)
    rows(call, "none", axis=axis, mask="where")
    options = {"axis": call.axis, "dtype": call.dtype, "keepdims": bool(keepdims)}
    result: A = call.backend.apply(formulas.logsumexp, (call.x, call.class_mask), options)
    return result


def log_softmax(x: A, *, axis: int = -1, where: Weak | None = None) -> A:
    """Logarithm of the softmax along ``axis``, in nats."""
    call = Call("log_softmax", x=x, class_mask=where)
    rows(call, "none", axis=axis, mask="where")
    options = {"axis": call.axis, "dtype": call.dtype}
    result: A = call.backend.apply(formulas.log_softmax, (call.x, call.class_mask), options)
    return result
