"""What can be said of rows of logits and their labels: probabilities, entropies, ranks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from xentropy._types import Arrays, Namespace, Options

from . import softmax
from .formula import Formula, along

__all__ = ["OF_LABELS", "OUTPUTS", "REAL", "Request", "evaluate", "gradient", "picked"]

OUTPUTS = ("log_prob", "logsumexp", "entropy", "rank", "correct", "top_k")
OF_LABELS = ("log_prob", "rank", "correct")
REAL = ("log_prob", "logsumexp", "entropy")
"""Those that have derivatives."""

_Apply = Callable[[Formula, Arrays, Options], Any]
_Pull = Callable[[Formula, Arrays, Options, Any], Any]


class Request(NamedTuple):
    """What is asked about some rows."""

    x: Any  # the logits, classes along ``axis``
    labels: Any  # indices, with the class axis as length 1; None where no output needs them
    class_mask: Any  # None, or bool of the rank of the logits, or 0-d; True keeps
    keep: Any  # None, or which rows are not ignored, shaped like the labels
    axis: int  # negative
    dtype: str  # in which is computed
    scale: Any  # a number above 0, which multiplies the logits; None for 1
    outputs: tuple[str, ...]  # some of `OUTPUTS`, each once
    k: int  # of top_k; else 0

    @property
    def arrays(self) -> Arrays:
        """The arguments that are arrays, or None."""
        return self[:4]

    def mapped(self, f: Callable[[Any], Any]) -> Request:
        """The same question about ``f`` of each of its arrays."""
        x, labels, mask, keep = (None if each is None else f(each) for each in self.arrays)
        return self._replace(x=x, labels=labels, class_mask=mask, keep=keep)


def evaluate(apply: _Apply, xp: Namespace, request: Request) -> Arrays:
    """Return what was asked for, in its order, without the class axis; ``top_k`` has it last.

    ``apply`` evaluates a formula so that it can be differentiated. Nothing is computed that was not
    asked for.
    """
    request = _shown(xp, request)
    found: dict[str, Any] = {
        name: _kept(xp, request, _real(apply, xp, request, name), 0.0)
        for name in request.outputs
        if name in REAL
    }
    if "rank" in request.outputs or "correct" in request.outputs:
        found["rank"] = _kept(xp, request, _rank(xp, request), -1)
    if "top_k" in request.outputs:
        found["top_k"] = _kept(xp, request, _top_k(xp, request), 0)
    return picked(found, request.outputs)


def picked(found: dict[str, Any], outputs: tuple[str, ...]) -> Arrays:
    """What was asked for, in its order, of what was found: ``correct`` is made of the rank."""
    return tuple(found["rank"] == 0 if name == "correct" else found[name] for name in outputs)


def _kept(xp: Namespace, request: Request, x: Any, otherwise: Any) -> Any:
    """``x`` of the rows that are not ignored."""
    if request.keep is None:
        return x
    keep = xp.squeeze(request.keep, request.axis)
    return xp.where(keep if keep.ndim == x.ndim else xp.expand_dims(keep, axis=-1), x, otherwise)


def gradient(
    xp: Namespace, request: Request, cotangents: dict[str, Any], pull: _Pull, result: str
) -> Any:
    """The gradient by the logits, of the cotangents of the outputs that have derivatives.

    ``pull`` gives that of a formula by its first argument; they are added up in ``result``.
    """
    request, found = _shown(xp, request), None
    for name, cotangent in cotangents.items():
        c = _kept(xp, request, cotangent, 0.0)
        of_one = pull(*_formula_of(request, name), 0.0 - c if name == "log_prob" else c)
        of_one = xp.astype(of_one, getattr(xp, result))
        found = of_one if found is None else found + of_one
    return found if request.keep is None else xp.where(request.keep, found, 0.0)


def _shown(xp: Namespace, request: Request) -> Request:
    """Nothing that an ignored row holds reaches a derivative."""
    if request.keep is None:
        return request
    return request._replace(x=xp.where(request.keep, request.x, 0.0))


def _real(apply: _Apply, xp: Namespace, request: Request, name: str) -> Any:
    """The outputs that have derivatives."""
    found = apply(*_formula_of(request, name))
    return 0.0 - found if name == "log_prob" else found


def _formula_of(request: Request, name: str) -> tuple[Formula, Arrays, Options]:
    """What computes an output that has derivatives; of ``log_prob`` it is the negative."""
    x, labels, mask, keep, axis, dtype, scale, *_ = request
    options: Options = {"axis": axis, "dtype": dtype}
    if scale is not None:
        options["scale"] = scale
    plain, scaled = _FORMULAS[name]
    formula = plain if scale is None else scaled
    if name == "log_prob":
        arrays = (x, labels, None, mask, None, keep)
        return formula, arrays, {**options, "smoothing": None, "z_loss": None}
    return formula, (x, mask), {**options, "keepdims": False} if name == "logsumexp" else options


_FORMULAS = {
    "log_prob": (softmax.cross_entropy_index, softmax.scaled_cross_entropy_index),
    "logsumexp": (softmax.logsumexp, softmax.scaled_logsumexp),
    "entropy": (softmax.entropy, softmax.scaled_entropy),
}
"""Of logits, and of logits that are multiplied with a number."""


def _constant(xp: Namespace, request: Request) -> tuple[Any, Any, Any]:
    """The logits in the dtype that is computed in, the mask in full, and which rows hold NaN."""
    x = xp.stop_gradient(xp.astype(request.x, getattr(xp, request.dtype)))
    mask, spoiled = request.class_mask, x != x
    if mask is not None:
        mask = xp.broadcast_like(mask, x)
        spoiled = spoiled & mask
    return x, mask, xp.count_nonzero(spoiled, axis=request.axis, keepdims=True) > 0


def _rank(xp: Namespace, request: Request) -> Any:
    """How many classes come before the label, as in top_k: those removed are the last."""
    x, mask, spoiled = _constant(xp, request)
    y, axis = request.labels, request.axis
    n = xp.size(x, axis)
    classes = xp.reshape(xp.class_range(y, n), along(axis, x.ndim))
    hit, lower = classes == y, classes < y
    own = xp.max(xp.where(hit, x, -math.inf), axis=axis, keepdims=True)
    before = (x > own) | ((x == own) & lower)
    if mask is not None:
        is_removed = xp.count_nonzero(hit & ~mask, axis=axis, keepdims=True) > 0
        before = (mask & (before | is_removed)) | (~mask & is_removed & lower)
    rank = xp.count_nonzero(before, axis=axis, keepdims=True)
    return xp.squeeze(xp.where(spoiled | (y < 0) | (y >= n), -1, rank), axis)


def _top_k(xp: Namespace, request: Request) -> Any:
    """The classes of the largest logits, largest first and of equal ones the lowest first."""
    x, mask, spoiled = _constant(xp, request)
    # NaN is set to anything, and -0 to 0, which some frameworks tell apart.
    x = _last(xp, xp.where((x != x) | (x == 0), 0.0, x), request.axis)
    if mask is None:
        found = xp.top_k(x, request.k)
    else:
        # First those that have a probability, then kept ones of -inf, then those removed.
        mask = _last(xp, mask, request.axis)
        likely = mask & (x > -math.inf)
        order = xp.where(likely, 2.0, xp.where(mask, 1.0, xp.zeros_like(x)))
        found = xp.top_k(xp.where(likely, x, -math.inf), request.k)
        place = xp.reshape(xp.class_range(found, request.k), along(-1, x.ndim))
        many = xp.count_nonzero(likely, axis=-1, keepdims=True)
        found = xp.where(place < many, found, xp.top_k(order, request.k))
    return xp.where(_last(xp, spoiled, request.axis), -1, found)


def _last(xp: Namespace, x: Any, axis: int) -> Any:
    """``x`` with an axis as the last."""
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return x if axis == -1 else xp.permute_dims(x, (*others, axis % x.ndim))
