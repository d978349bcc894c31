"""The loss of a linear layer, some rows at a time: all their logits are never held.

What is done with the logits of some rows is a formula of rows; what the layer adds is a product, a
bias and a cap, and their derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeAlias

from xentropy._types import Arrays, Namespace, Options

from .formula import Formula, Role
from .formula import value as value_of
from .formula import vjp as vjp_of
from .softmax import cross_entropy_index
from .statistics import Request
from .statistics import gradient as of_logits

__all__ = [
    "Head",
    "Layer",
    "Operands",
    "ask",
    "ask_gradients",
    "by_product",
    "differentiate",
    "evaluate",
    "gradients",
    "logits",
    "losses",
    "most_rows",
    "on_tape",
    "product",
    "pull",
    "pull_statistics",
    "rows_at_once",
    "shown",
    "statistics",
]


Apply: TypeAlias = Callable[[Formula, Arrays, Options], Any]
Answer: TypeAlias = Callable[[Request], Arrays]


class Layer(NamedTuple):
    """``softcap * tanh(z / softcap)`` with ``z = scale * (hidden @ weight.T + bias)``."""

    scale: Any  # a number, as softcap; None for 1
    softcap: Any  # None for none
    dtype: str  # that it is computed in
    max_memory: int  # bytes for logits and what is made of them


class Head(NamedTuple):
    """A layer and the loss of its logits."""

    layer: Layer
    formula: Formula
    smoothing: Any  # a number, as z_loss; None for 0
    z_loss: Any

    @property
    def is_index(self) -> bool:
        """Whether labels are indices."""
        return self.formula is cross_entropy_index

    @property
    def numbers(self) -> Arrays:
        """Those of the layer and of the loss, None where there is none."""
        return self.layer.scale, self.layer.softcap, self.smoothing, self.z_loss

    def numbered(
        self, scale: Any = None, softcap: Any = None, smoothing: Any = None, z_loss: Any = None
    ) -> Head:
        """The same with other numbers."""
        layer = self.layer._replace(scale=scale, softcap=softcap)
        return Head(layer, self.formula, smoothing, z_loss)

    @property
    def options(self) -> Options:
        """Those of the formula."""
        return {
            "axis": -1,
            "dtype": self.layer.dtype,
            "smoothing": self.smoothing,
            "z_loss": self.z_loss,
        }


class Operands(NamedTuple):
    """The arrays of a call in rows."""

    hidden: Any  # (N, D)
    weight: Any  # (V, D)
    bias: Any  # (V,), or None
    labels: Any  # indices (N, 1), or of a distribution (N or 1, V or 1)
    class_weight: Any  # (V,), (), or None
    class_mask: Any  # (N or 1, V or 1), or None
    sample_weight: Any  # (N,), or None
    keep: Any  # (N,), or None

    def are_rows(self) -> tuple[bool, ...]:
        """Of which there is one entry a row."""
        n = self.hidden.shape[0]

        def has_rows(x: Any) -> bool:
            # A length that is not known is not 1.
            return x is not None and (x.shape[0] != 1 or n == 1)

        *_, sample_weight, keep = self
        own = (has_rows(self.labels), False, has_rows(self.class_mask))
        return (True, False, False, *own, sample_weight is not None, keep is not None)


def logits(xp: Namespace, layer: Layer, hidden: Any, weight: Any, bias: Any) -> Any:
    """The logits of some rows, in the compute dtype."""
    return _capped(xp, layer, product(xp, layer, hidden, weight, bias))


def product(xp: Namespace, layer: Layer, hidden: Any, weight: Any, bias: Any) -> Any:
    """The same before the layer's numbers."""
    dtype = getattr(xp, layer.dtype)
    z = xp.matmul(hidden, weight, dtype, "b")
    return z if bias is None else z + xp.reshape(xp.astype(bias, dtype), (1, -1))


def _capped(xp: Namespace, layer: Layer, z: Any) -> Any:
    if layer.scale is not None:
        z = layer.scale * z
    return z if layer.softcap is None else layer.softcap * xp.tanh(z / layer.softcap)


def by_product(layer: Layer, x: Any, g: Any) -> Any:
    """The gradient by the product, of that by the logits ``x``."""
    if layer.softcap is not None:
        u = x / layer.softcap
        g = g * ((1.0 - u) * (1.0 + u))
    return g if layer.scale is None else layer.scale * g


def _arrays(given: Operands, x: Any) -> Arrays:
    """What the formula takes, of the logits of some rows."""
    keep = None if given.keep is None else given.keep[:, None]
    return x, given.labels, given.class_weight, given.class_mask, given.sample_weight, keep


def shown(xp: Namespace, given: Operands) -> Operands:
    """Rows that are left out as 0, also in products: 0 times NaN is NaN.

    A weight of 0 hides only what holds no number: the others keep their derivatives by it.
    """
    hidden, weight, active = given.hidden, given.sample_weight, given.keep
    if weight is not None:
        shown = (weight != 0) | xp.isfinite(xp.max(xp.abs(hidden), axis=-1, keepdims=False))
        active = shown if active is None else active & shown
    if active is None:
        return given
    return given._replace(hidden=xp.where(active[:, None], hidden, 0.0), keep=active)


def losses(xp: Namespace, head: Head, given: Operands, apply: Apply | None = None) -> Any:
    """The losses of some rows; with the `apply` of a backend they can be differentiated."""
    given = shown(xp, given)
    x = logits(xp, head.layer, given.hidden, given.weight, given.bias)
    if apply is not None:
        return apply(head.formula, _arrays(given, x), head.options)
    return value_of(xp, head.formula, _arrays(given, x), head.options)


def gradients(
    xp: Namespace, head: Head, given: Operands, wanted: tuple[bool, ...], cotangent: Any
) -> tuple[Any, ...]:
    """The gradients of some rows by the operands wanted; None for the others."""
    given = shown(xp, given)
    z = product(xp, head.layer, given.hidden, given.weight, given.bias)
    of_product = (any(wanted[:3]), *wanted[3:])
    g, *pulled = pull(xp, head, given, z, of_product, cotangent)
    return (*_by_layer(xp, head.layer, given, g, wanted), *pulled)


def pull(
    xp: Namespace,
    head: Head,
    given: Operands,
    z: Any,
    wanted: tuple[bool, ...],
    cotangent: Any,
    own: Callable[..., Arrays] | None = None,
) -> Arrays:
    """The gradients by the product ``z`` and by the operands that are not of the layer.

    ``own`` is the backend's `formula.vjp`.
    """
    x = _capped(xp, head.layer, z)
    call = (head.formula, _arrays(given, x), head.options, wanted, cotangent)
    g, *pulled = own(*call) if own else vjp_of(xp, *call)
    return (g if g is None else by_product(head.layer, x, g), *pulled)


def _by_layer(
    xp: Namespace, layer: Layer, given: Operands, g: Any, wanted: tuple[bool, ...]
) -> Arrays:
    """The gradients by hidden, weight and bias, in the compute dtype, of that by the product."""
    dtype = getattr(xp, layer.dtype)
    return (
        xp.matmul(g, given.weight, dtype) if wanted[0] else None,
        xp.matmul(g, given.hidden, dtype, "a") if wanted[1] else None,
        xp.sum(g, axis=0, keepdims=False) if wanted[2] else None,
    )


# --- some rows after the other ----------------------------------------------------------------

_HELD = 8
"""Arrays of the size of the logits that a formula and its gradient hold."""


def most_rows(layer: Layer, n: int) -> int:
    """Rows whose logits, of ``n`` classes, take no more memory than they may; one at least."""
    return max(1, layer.max_memory // (_HELD * (8 if layer.dtype == "float64" else 4) * n))


def rows_at_once(layer: Layer, given: Operands) -> int:
    """As many of the rows; all, as 0, where their number is unknown."""
    count, n = given.hidden.shape[0], given.weight.shape[0]
    if not (isinstance(count, int) and isinstance(n, int)):
        return 0
    return max(1, min(most_rows(layer, n), count))


def _parts(layer: Layer, given: Operands) -> Iterator[tuple[Any, Operands]]:
    """Some rows after the other: where they are, and what the operands hold of them."""
    step, are_rows = rows_at_once(layer, given), given.are_rows()
    if not step or step >= given.hidden.shape[0]:
        yield slice(None), given
        return
    for start in range(0, given.hidden.shape[0], step):
        part = slice(start, min(start + step, given.hidden.shape[0]))
        pairs = zip(given, are_rows, strict=True)
        yield part, Operands(*(x[part, ...] if is_row else x for x, is_row in pairs))


def ask(xp: Namespace, layer: Layer, given: Operands, request: Request, answer: Answer) -> Arrays:
    """Statistics of some rows, of the request about their logits."""
    given = shown(xp, given)
    z = product(xp, layer, given.hidden, given.weight, given.bias)
    return answer(_asked(xp, layer, given, request, z))


def _asked(xp: Namespace, layer: Layer, given: Operands, request: Request, z: Any) -> Request:
    """The request about the logits of some rows."""
    x, keep = _capped(xp, layer, z), None if given.keep is None else given.keep[:, None]
    return request._replace(x=x, labels=given.labels, class_mask=given.class_mask, keep=keep)


def pull_statistics(
    xp: Namespace,
    layer: Layer,
    given: Operands,
    request: Request,
    z: Any,
    cotangents: dict[str, Any],
    own: Any,
) -> Any:
    """The gradient by the product ``z``, of the cotangents of statistics."""
    asked = _asked(xp, layer, given, request, z)
    return by_product(layer, asked.x, of_logits(xp, asked, cotangents, own, layer.dtype))


def ask_gradients(
    xp: Namespace,
    layer: Layer,
    given: Operands,
    request: Request,
    wanted: tuple[bool, ...],
    cotangents: dict[str, Any],
    own: Any,
) -> Arrays:
    """The gradients of some rows by hidden, weight and bias, of the cotangents of statistics."""
    given = shown(xp, given)
    z = product(xp, layer, given.hidden, given.weight, given.bias)
    g = pull_statistics(xp, layer, given, request, z, cotangents, own)
    return _by_layer(xp, layer, given, g, wanted)


def statistics(
    xp: Namespace, layer: Layer, given: Operands, answer: Callable[[Operands], Arrays]
) -> Arrays:
    """Statistics of all rows, from what ``answer`` tells of some."""
    found = [answer(part) for _, part in _parts(layer, given)]
    if len(found) == 1:
        return found[0]
    return tuple(xp.concat(list(each), axis=0) for each in zip(*found, strict=True))


def evaluate(xp: Namespace, head: Head, given: Operands, apply: Apply | None = None) -> Any:
    """The losses, (N,); with the `apply` of a backend they can be differentiated."""
    found = [losses(xp, head, part, apply) for _, part in _parts(head.layer, given)]
    return found[0] if len(found) == 1 else xp.concat(found, axis=0)


def differentiate(
    xp: Namespace, head: Head, given: Operands, wanted: tuple[bool, ...], cotangent: Any
) -> Arrays:
    """The gradients by the operands wanted, in their dtypes; None for the others."""
    found: list[list[Any]] = [[] for _ in given]
    are_rows = given.are_rows()
    for where, part in _parts(head.layer, given):
        pulled = gradients(xp, head, part, wanted, cotangent[where])
        for own, is_row, x in zip(found, are_rows, pulled, strict=True):
            own[:] = [*own, x] if is_row or not own or x is None else [own[0] + x]
    return tuple(
        xp.astype(own[0] if len(own) == 1 else xp.concat(own, axis=0), x.dtype) if want else None
        for own, x, want in zip(found, given, wanted, strict=True)
    )


def _missing(*arrays: Any, **options: Any) -> Any:
    raise AssertionError("a head is recorded with its gradients")  # noqa: EM101


def on_tape(head: Head) -> Formula:
    """What stands on the tape for a head."""
    return _INDEX if head.is_index else _DENSE


def _step(labels: Role) -> Formula:
    differentiated = ("hidden", "weight", "bias", "class_weight", "sample_weight")
    roles: dict[str, Role] = {
        name: "elements" if name in differentiated else "constant" for name in Operands._fields
    }
    roles["labels"] = labels
    return Formula("linear", roles, "axis", _missing, _missing)


_INDEX, _DENSE = _step("constant"), _step("elements")
