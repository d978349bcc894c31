"""From per-example losses to what the caller asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ._call import Call
from .dispatch import backend_of, message
from .errors import DTypeError
from .formulas import reduction as formulas

__all__ = ["MEANS", "Mean", "reduce"]


class Mean(NamedTuple):
    """A sum and the weight that it is to be divided by, to be added up over parts of a batch.

    It is a tuple of two 0-d arrays, so that it passes ``jit``, ``vmap`` and ``tf.function``.
    ``a + b`` and the built-in ``sum`` add field by field, ``Mean.sum(parts)`` does too.

    Parameters
    ----------
    total : 0-d array or number
        The sum of the weighted losses in nats; float64 where the device has it.
    weight : 0-d array or number
        The sum of the weights. Of two numbers the value is an array of NumPy.

    Examples
    --------
    >>> import numpy as np, xentropy
    >>> parts = [xentropy.squared_error(x, 0.0, reduction="partial") for x in np.eye(2)]
    >>> float(sum(parts).value())
    0.5
    """

    total: Any
    weight: Any

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Mean):
            return NotImplemented
        kind = type(self) if type(self) is type(other) else Mean
        return kind(*map(_plus, self, other))

    def __radd__(self, other: Any) -> Any:
        # The built-in sum starts from 0.
        if isinstance(other, int) and other == 0:
            return self
        if isinstance(other, tuple):
            # Else Python would go on and concatenate.
            rule = "a Mean adds up with a Mean, not with another tuple."
            raise DTypeError(message("Mean", rule, {"other": other}))
        return NotImplemented

    def sum(self: Any) -> Any:
        """Add up fields that hold one entry a part, as ``vmap`` returns them.

        Called on the class, ``Mean.sum(parts)``, it adds up the parts first.
        """
        whole = (self if isinstance(self, Mean) else _added(self))._arrays()
        xp = backend_of(whole.total).xp
        fields = (xp.sum(x, axis=None, keepdims=False) if x.ndim else x for x in whole)
        return type(whole)(*fields)

    def value(self) -> Any:
        """Return ``total / weight`` in the dtype of the losses; 0 / 0 is 0.

        Of fields that hold one entry a part it is the value of each part.
        """
        mean = self._arrays()
        xp = backend_of(mean.total).xp
        return xp.astype(mean._quotient(), getattr(xp, mean._result()))

    def perplexity(self) -> Any:
        """Return ``exp(total / weight)``, the exponential taken before rounding to that dtype."""
        mean = self._arrays()
        xp = backend_of(mean.total).xp
        return xp.astype(xp.exp(mean._quotient()), getattr(xp, mean._result()))

    def _arrays(self: Any) -> Any:
        """The same with its numbers as arrays: of the other field's family, or of NumPy."""
        arrays = [x for x in self if not isinstance(x, (int, float))]
        if len(arrays) == len(self):
            return self
        like = arrays[0] if arrays else np.empty(0)
        backend = backend_of(like)
        wide = backend.accumulator(like)

        def adopted(x: float) -> Any:
            return backend.xp.astype(backend.asarray(np.asarray(x, wide), like), like.dtype)

        return type(self)(*(adopted(x) if isinstance(x, (int, float)) else x for x in self))

    def _quotient(self) -> Any:
        # 0 / 0 has gradient 0 too. No division by 0, of which NumPy would warn.
        xp = backend_of(self.total).xp
        zero = xp.zeros_like(self.total)
        nothing = self.weight == xp.zeros_like(self.weight)
        infinite = xp.where(self.total == zero, zero, float("inf"))
        scale = xp.where(nothing, infinite, 1.0)
        return self.total / xp.where(nothing, 1.0, self.weight) * scale

    def _result(self) -> str:
        return backend_of(self.total).dtype_name(self.total)


def _plus(x: Any, y: Any) -> Any:
    """The sum; a number of 0, which sums start from, is put on no device."""
    if isinstance(x, (int, float)) and x == 0:
        return y
    return x if isinstance(y, (int, float)) and y == 0 else x + y


def _added(parts: Any) -> Mean:
    """The parts of a batch as one."""
    is_array = hasattr(parts, "shape")
    means = list(parts) if isinstance(parts, Iterable) and not is_array else []
    if not means or not all(isinstance(mean, Mean) for mean in means):
        rule = "what is added up must be Means, one at least."
        hint = "`reduction='partial'` gives one for each part."
        raise DTypeError(message("Mean.sum", rule, {"parts": parts}, hint))
    added: Mean = sum(means[1:], start=means[0])
    return added


class _Float32Mean(Mean):
    """A `Mean` of float32 losses that are summed in float64."""

    __slots__ = ()

    def _result(self) -> str:
        return "float32"


# It shows as a Mean; the qualified name stays, pickle looks it up.
_Float32Mean.__name__ = "Mean"

MEANS = {"xentropy.Mean": Mean, "xentropy.Mean of float32": _Float32Mean}
"""By the names under which frameworks save programs that return them."""


def reduce(call: Call, losses: Any, of_classes: Callable[[], Any] | None = None) -> Any:
    """Reduce the losses of a checked call as its caller asked.

    ``of_classes`` gives what the class weights make of each label, where the losses are not of
    logits that are held.
    """
    if call.reduction == "none":
        return losses
    accumulate = call.backend.accumulator(losses)
    options = {"dtype": accumulate, "result": call.dtype}
    if call.reduction == "sum":
        return call.backend.apply(formulas.total, (losses,), options)
    if call.reduction == "mean":
        weights = _weights(call, losses, of_classes) if call.denominator is None else None
        return call.backend.apply(formulas.mean, (losses, weights, call.denominator), options)
    weights = _weights(call, losses, of_classes)
    options["result"] = accumulate
    total = call.backend.apply(formulas.total, (losses,), options)
    ones = call.backend.xp.ones_like(losses) if weights is None else weights
    weight = call.backend.apply(formulas.total, (ones,), options)
    return (Mean if accumulate == call.dtype else _Float32Mean)(total, weight)


def _weights(call: Call, losses: Any, of_classes: Callable[[], Any] | None) -> Any:
    """The weight of each example, or None where all are 1."""
    if call.class_weight is not None and of_classes is not None:
        return _of_examples(call, losses, of_classes())
    if call.class_weight is not None:
        formula = formulas.class_weights_index if call.index else formulas.class_weights
        return call.apply(formula, call.class_weight)
    if call.sample_weight is None and call.keep is None:
        return None
    return _of_examples(call, losses)


def _of_examples(call: Call, losses: Any, of_classes: Any = None) -> Any:
    """The weights of the examples, times others."""
    if call.sample_weight is None and call.keep is None:
        return of_classes
    arrays = (losses, call.sample_weight, call.keep, of_classes)
    return call.backend.apply(formulas.example_weights, arrays, {"dtype": call.dtype})
